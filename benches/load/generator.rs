//! Generated patients and observations: seeded, the same in every run. A tenth of the patients hold most of the
//! data; codes follow Zipf's law.

/// A small generator of pseudo-random numbers (xorshift64*), for data that must be the same everywhere.
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// An index below `n` by Zipf's law (the first is the most frequent).
    pub fn zipf(&mut self, n: u64) -> u64 {
        let u = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((n as f64 + 1.0).powf(u) - 1.0) as u64 % n.max(1)
    }
}

const FAMILIES: &[&str] = &[
    "Abara", "Bianchi", "Chen", "Dubois", "Eriksen", "Fofana", "Garcia", "Hansen", "Ito", "Jansen", "Kaya", "Lopez",
    "Moreau", "Nowak", "Okafor", "Petit", "Quispe", "Rossi", "Silva", "Tanaka", "Usman", "Vargas", "Weber", "Yilmaz",
];
const GIVEN: &[&str] = &[
    "Ada", "Ben", "Chloé", "Diego", "Emma", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kofi", "Lea", "Mina", "Noah",
    "Olga", "Paul", "Rosa", "Sami", "Tara", "Yusuf",
];
const CITIES: &[&str] = &["Lyon", "Porto", "Accra", "Cusco", "Bergen", "Osaka", "Izmir", "Graz"];

/// Number of different observation codes.
pub const CODES: u64 = 60;

/// Patients among `resources`: one in ten.
pub fn patients(resources: usize) -> u64 {
    (resources as u64 / 10).max(1)
}

/// Some 730 bytes of a patient.
pub fn patient(number: u64, id: Option<&str>) -> String {
    let mut random = Random::new(number + 1);
    let family = FAMILIES[random.below(FAMILIES.len() as u64) as usize];
    let given = GIVEN[random.below(GIVEN.len() as u64) as usize];
    let city = CITIES[random.below(CITIES.len() as u64) as usize];
    let id = id.map(|id| format!("\"id\":\"{id}\",")).unwrap_or_default();
    format!(
        "{{\"resourceType\":\"Patient\",{id}\"text\":{{\"status\":\"generated\",\"div\":\"<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\">{given} {family}{number}</div>\"}},\
\"identifier\":[{{\"use\":\"official\",\"system\":\"urn:example:mrn\",\"value\":\"mrn-{number}\"}}],\"active\":true,\
\"name\":[{{\"use\":\"official\",\"family\":\"{family}{number}\",\"given\":[\"{given}\"]}}],\
\"telecom\":[{{\"system\":\"phone\",\"value\":\"+33-4-{:08}\",\"use\":\"home\"}}],\"gender\":\"{}\",\"birthDate\":\"{}-{:02}-{:02}\",\
\"address\":[{{\"line\":[\"{} rue des Fleurs\"],\"city\":\"{city}\",\"postalCode\":\"{:05}\",\"country\":\"FR\"}}],\
\"maritalStatus\":{{\"coding\":[{{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus\",\"code\":\"{}\"}}]}}}}",
        random.below(100_000_000),
        ["male", "female", "other", "unknown"][random.zipf(4) as usize],
        1930 + random.below(90),
        1 + random.below(12),
        1 + random.below(28),
        1 + random.below(200),
        random.below(100_000),
        ["M", "S", "D", "W"][random.below(4) as usize]
    )
}

/// Code of the observation with this rank.
pub fn code(rank: u64) -> String {
    format!("{}-{}", 8000 + rank * 7, rank % 10)
}

/// Some 1,000 bytes of an observation of one of `patients`.
pub fn observation(number: u64, patients: u64, id: Option<&str>) -> String {
    let mut random = Random::new(number ^ 0x0B5E_7A71);
    let patient = subject(&mut random, patients);
    let code = code(random.zipf(CODES));
    let id = id.map(|id| format!("\"id\":\"{id}\",")).unwrap_or_default();
    let date = format!(
        "{}-{:02}-{:02}T{:02}:{:02}:00Z",
        2010 + random.below(16),
        1 + random.below(12),
        1 + random.below(28),
        random.below(24),
        random.below(60)
    );
    format!(
        "{{\"resourceType\":\"Observation\",{id}\"identifier\":[{{\"system\":\"urn:example:obs\",\"value\":\"obs-{number}\"}}],\"status\":\"final\",\
\"category\":[{{\"coding\":[{{\"system\":\"http://terminology.hl7.org/CodeSystem/observation-category\",\"code\":\"{}\",\"display\":\"a category\"}}]}}],\
\"code\":{{\"coding\":[{{\"system\":\"http://loinc.org\",\"code\":\"{code}\",\"display\":\"a measurement of some kind\"}}],\"text\":\"a measurement of some kind\"}},\
\"subject\":{{\"reference\":\"Patient/p{patient}\"}},\"effectiveDateTime\":\"{date}\",\"issued\":\"{date}\",\
\"valueQuantity\":{{\"value\":{}.{:02},\"unit\":\"mmol/L\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"mmol/L\"}},\
\"referenceRange\":[{{\"low\":{{\"value\":3.50,\"unit\":\"mmol/L\"}},\"high\":{{\"value\":5.10,\"unit\":\"mmol/L\"}}}}]}}",
        ["laboratory", "vital-signs", "survey"][random.zipf(3) as usize],
        random.below(200),
        random.below(100)
    )
}

/// Nine of ten observations belong to the first tenth of the patients.
pub fn subject(random: &mut Random, patients: u64) -> u64 {
    if random.below(10) < 9 { random.below(patients / 10 + 1) } else { random.below(patients) }
}
