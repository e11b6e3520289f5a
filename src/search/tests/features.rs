//! What the rarer features of search find, from query to resource: `:text`, `:of-type`, hierarchies, units, places,
//! words, contained resources, `_filter`, lists, and what nothing refers to.

use super::meaning::check;

const RESOURCES: &str = r##"
{"resourceType":"Location","id":"l1","name":"Tower","position":{"latitude":48.8584,"longitude":2.2945}}
{"resourceType":"Location","id":"l2","name":"Floor","partOf":{"reference":"Location/l1"},"position":{"latitude":48.8606,"longitude":2.3376}}
{"resourceType":"Location","id":"l3","name":"Room","partOf":{"reference":"Location/l2"},"position":{"latitude":-17.7,"longitude":179.99}}
{"resourceType":"Location","id":"l4","name":"Isle","position":{"latitude":-17.7,"longitude":-179.99}}
{"resourceType":"Patient","id":"p1","identifier":[{"type":{"coding":[{"system":"http://v2","code":"MR","display":"Medical record"}],"text":"Chart"},"system":"http://mrn","value":"12"},{"value":"34"}],"name":[{"family":"Ærø","given":["Łukasz","Jo"]}],"gender":"male","birthDate":"1970-05-01"}
{"resourceType":"Patient","id":"p2","identifier":[{"type":{"coding":[{"system":"http://v2","code":"SS"}]},"value":"12"}],"name":[{"family":"Peters"}],"birthDate":"1985-01-31","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Prefers <b>mornings</b> &amp; caf&#233;s</div>"}}
{"resourceType":"Procedure","id":"q1","status":"completed","subject":{"reference":"Patient/p1"},"location":{"reference":"Location/l1"},"code":{"text":"Hip replacement"}}
{"resourceType":"Procedure","id":"q2","status":"completed","subject":{"reference":"Patient/p1"},"location":{"reference":"Location/l3"},"instantiatesCanonical":["http://a.org/PlanDefinition/x|1.2.3"],"note":[{"text":"Metastases in the bone"}]}
{"resourceType":"Procedure","id":"q3","status":"completed","subject":{"reference":"Patient/p2/_history/4"},"instantiatesCanonical":["http://a.org/PlanDefinition/x|2.0"],"note":[{"text":"Metastases in the liver"}]}
{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"15074-8","display":"Glucose in blood"}],"text":"Sugar"},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":5.4,"unit":"mmol/l","system":"http://unitsofmeasure.org","code":"mmol/L"}}
{"resourceType":"Observation","id":"o2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"15074-8"}]},"subject":{"reference":"Patient/p2"},"valueQuantity":{"value":5400,"unit":"umol/L","system":"http://unitsofmeasure.org","code":"umol/L"}}
{"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}]},"valueQuantity":{"value":5.4,"unit":"mmol/L","system":"http://other.org","code":"x"}}
{"resourceType":"Observation","id":"o4","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"valueQuantity":{"value":37,"unit":"C","system":"http://unitsofmeasure.org","code":"Cel"}}
{"resourceType":"MedicationRequest","id":"m1","status":"active","intent":"order","contained":[{"resourceType":"Medication","id":"a","code":{"coding":[{"system":"http://rx","code":"1"}]},"status":"active"},{"resourceType":"Medication","id":"b","code":{"coding":[{"system":"http://rx","code":"2"}]},"status":"inactive"}],"medicationReference":{"reference":"#a"},"subject":{"reference":"Patient/p1"}}
{"resourceType":"Medication","id":"n1","code":{"coding":[{"system":"http://rx","code":"1"}]},"status":"inactive"}
{"resourceType":"List","id":"t1","status":"current","mode":"working","code":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/list-example-use-codes","code":"problems"}]},"entry":[{"item":{"reference":"Condition/c1"}}]}
{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"},"onsetDateTime":"2020-03"}
{"resourceType":"Condition","id":"c2","subject":{"reference":"Patient/p1"},"onsetPeriod":{"start":"2020-03-20","end":"2020-05"}}
{"resourceType":"ValueSet","id":"v1","status":"active","url":"http://a.org/fhir/ValueSet/one"}
"##;

const CASES: &[(&str, &str)] = &[
    // letters that Unicode does not take apart
    ("Patient?family=aero", "p1"),
    ("Patient?given=lukasz", "p1"),
    // :text
    ("Observation?code:text=sugar", "o1"),
    ("Observation?code:text=GLUCOSE", "o1"),
    ("Observation?code:text=blood", ""),
    ("Procedure?code:text=hip", "q1"),
    ("Patient?identifier:text=chart", "p1"),
    ("Patient?identifier:text=medical", "p1"),
    // :of-type
    ("Patient?identifier:of-type=http://v2%7CMR%7C12", "p1"),
    ("Patient?identifier:of-type=http://v2%7CSS%7C12", "p2"),
    ("Patient?identifier:of-type=http://v2%7CMR%7C34", ""),
    ("Patient?identifier=12", "p1 p2"),
    // hierarchies
    ("Procedure?location:below=Location/l1", "q1 q2"),
    ("Procedure?location:below=l1", "q1 q2"),
    ("Procedure?location:below=l2", "q2"),
    ("Procedure?location:above=l3", "q1 q2"),
    ("Procedure?location:above=l2", "q1"),
    ("Location?partof:below=l1", "l2 l3"),
    ("Procedure?instantiates-canonical:below=http://a.org/PlanDefinition/x%7C1", "q2"),
    ("Procedure?instantiates-canonical:below=http://a.org/PlanDefinition/x%7C1.2", "q2"),
    ("Procedure?instantiates-canonical:below=http://a.org/PlanDefinition/x%7C1.20", ""),
    ("Procedure?instantiates-canonical:above=http://a.org/PlanDefinition/x%7C1.2.3", "q2"),
    ("Procedure?instantiates-canonical:below=http://a.org/PlanDefinition", "q2 q3"),
    ("Procedure?instantiates-canonical=http://a.org/PlanDefinition/x", "q2 q3"),
    ("Procedure?instantiates-canonical=http://a.org/PlanDefinition/x%7C2.0", "q3"),
    // versions of references
    ("Procedure?subject=Patient/p2", "q3"),
    ("Procedure?subject=Patient/p2/_history/4", "q3"),
    ("Procedure?subject=Patient/p2/_history/5", ""),
    ("Procedure?subject=http://here.example/fhir/Patient/p2/_history/4", "q3"),
    // units
    ("Observation?value-quantity=5.4%7Chttp://unitsofmeasure.org%7Cmmol/L", "o1 o2"),
    ("Observation?value-quantity=5400%7Chttp://unitsofmeasure.org%7Cumol/L", "o1 o2"),
    ("Observation?value-quantity=5.40%7Chttp://unitsofmeasure.org%7Cmmol/L", "o1 o2"),
    ("Observation?value-quantity=5.41%7Chttp://unitsofmeasure.org%7Cmmol/L", ""),
    ("Observation?value-quantity=5.4%7C%7Cmmol/L", "o1 o3"),
    ("Observation?value-quantity=5.4", "o1 o3"),
    ("Observation?value-quantity=5.4%7Chttp://other.org%7Cx", "o3"),
    ("Observation?value-quantity=gt5.3%7Chttp://unitsofmeasure.org%7Cmmol/L", "o1 o2"),
    ("Observation?value-quantity=ge5.4%7Chttp://unitsofmeasure.org%7Cmmol/L", "o1 o2"),
    ("Observation?value-quantity=lt5400%7Chttp://unitsofmeasure.org%7Cumol/L", ""),
    ("Observation?value-quantity=310.15%7Chttp://unitsofmeasure.org%7CK", "o4"),
    ("Observation?code-value-quantity=15074-8$5.4%7Chttp://unitsofmeasure.org%7Cmmol/L", "o1 o2"),
    ("Observation?code-value-quantity=15074-8$5.4", "o1"),
    ("Observation?code-value-quantity=29463-7$5.4%7Chttp://unitsofmeasure.org%7Cmmol/L", ""),
    // places: from the tower to the museum are 3.2 km; the isles lie on both sides of the date line, 2.1 km apart
    ("Location?near=48.8584%7C2.2945%7C3%7Ckm", "l1"),
    ("Location?near=48.8584%7C2.2945%7C3.3%7Ckm", "l1 l2"),
    ("Location?near=48.8584%7C2.2945%7C3300%7Cm", "l1 l2"),
    ("Location?near=48.8584%7C2.2945%7C1.9%7C%5Bmi_i%5D", "l1"),
    ("Location?near=-17.7%7C180%7C1100%7Cm", "l3 l4"),
    ("Location?near=-17.7%7C179.99%7C2%7Ckm", "l3"),
    ("Location?near=0%7C0%7C20100%7Ckm", "l1 l2 l3 l4"),
    ("Location?near=48.8584%7C2.2945%7C1%7Cm,-17.7%7C-179.99%7C1%7Cm", "l1 l4"),
    // words
    ("Patient?_text=mornings", "p2"),
    ("Patient?_text=MORNINGS cafes", "p2"),
    ("Patient?_text=morn", ""),
    ("Patient?_text=morn*", "p2"),
    ("Patient?_text=b", ""),
    ("Patient?_content=mornings", "p2"),
    ("Patient?_content=peters", "p2"),
    ("Patient?_text=peters", ""),
    ("Procedure?_content=(bone or liver) and metastases", "q2 q3"),
    ("Procedure?_content=metastases not liver", "q2"),
    ("Procedure?_content=hip,liver", "q1 q3"),
    ("Observation?subject._text=mornings", "o2"),
    // contained
    ("Medication?code=http://rx%7C1", "n1"),
    ("Medication?code=http://rx%7C1&_contained=true", "m1"),
    ("Medication?code=http://rx%7C1&_contained=both", "m1 n1"),
    ("Medication?code=1&status=active&_contained=true", "m1"),
    ("Medication?code=2&status=active&_contained=true", ""),
    ("Medication?code:not=1&_contained=true", "m1"),
    ("Medication?status:missing=true&_contained=true", ""),
    ("Medication?_id=b&_contained=true", "m1"),
    ("MedicationRequest?_id=m1&_contained=true", ""),
    // references are no words
    ("Observation?_content=p1", ""),
    ("Observation?_content=sugar", "o1"),
    // _filter
    ("Patient?_filter=family eq \"aerO\"", "p1"),
    ("Patient?_filter=family sw pet", "p2"),
    ("Patient?_filter=family co ete", "p2"),
    ("Patient?_filter=family ew ters", "p2"),
    ("Patient?_filter=family eq pet", ""),
    ("Patient?_filter=given ne jo", "p1"),
    ("Patient?_filter=given ne jo and given ne lukasz", "p1"),
    ("Patient?_filter=given pr false", "p2"),
    ("Patient?_filter=not (gender eq male)", "p2"),
    ("Patient?_filter=gender ne male", ""),
    ("Patient?_filter=birthdate ge 1980-01-01 or gender eq male", "p1 p2"),
    ("Patient?_filter=birthdate po 1985", "p2"),
    ("Condition?_filter=onset-date po 2020-03-25", "c1 c2"),
    ("Condition?_filter=onset-date eq 2020-03", "c1"),
    ("Condition?_filter=onset-date sa 2020-03-19", "c2"),
    ("Observation?_filter=value-quantity gt 5.3|http://unitsofmeasure.org|mmol/L", "o1 o2"),
    ("Observation?_filter=code eq http://loinc.org|15074-8 and subject.family sw p", "o2"),
    ("Observation?_filter=subject re Patient/p1", "o1"),
    ("Observation?_filter=subject.id eq p1", "o1"),
    ("Observation?_filter=subject:Patient[gender eq male].family co r", "o1"),
    ("Observation?_filter=code-value-quantity[code eq 15074-8].value-quantity ge 5400", "o2"),
    ("Patient?_filter=_has:Observation:patient:code eq 15074-8", "p1 p2"),
    ("Patient?_filter=_has:Observation:patient:value-quantity gt 100", "p2"),
    ("ValueSet?_filter=url sw http://a.org", "v1"),
    ("ValueSet?_filter=url ew one and url co fhir", "v1"),
    ("Patient?_filter=(given pr true or given pr false) and family eq peters", "p2"),
    // under several types, of which each has a parameter of its own
    ("?_type=Location,Procedure&_filter=status pr false", "l1 l2 l3 l4"),
    ("?_type=Location,Procedure&_filter=status pr true", "q1 q2 q3"),
    ("?_type=Location,Procedure&status:missing=true", "l1 l2 l3 l4"),
    // lists, and what nothing refers to
    ("Condition?_list=t1", "c1"),
    ("Condition?_list=$current-problems", "c1"),
    ("Condition?_list=nope", ""),
    ("Condition?patient=p1&_list=t1,t2", "c1"),
    ("Condition?_not-referenced=List:item", "c2"),
    ("Condition?_not-referenced=List:*", "c2"),
    ("Condition?_not-referenced=*:*", "c2"),
    ("Location?_not-referenced=*:*", "l4"),
    ("Location?_not-referenced=Procedure:location", "l2 l4"),
    ("Patient?_has:Procedure:patient:_has:List:item:_id=t1", ""),
    ("Patient?_has:Condition:patient:_has:List:item:_id=t1", "p1"),
    ("Observation?patient._has:Condition:patient:onset-date=2020-03", "o1"),
];

#[test]
fn rarer_features_find_what_they_mean() {
    check(RESOURCES, CASES);
}
