//! What stands on the pages, in English and in French. Only texts; which page shows which is elsewhere.

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lang {
    /// English.
    #[default]
    English,
    /// French.
    French,
}

impl Lang {
    /// The code (BCP 47).
    pub fn code(self) -> &'static str {
        match self {
            Lang::English => "en",
            Lang::French => "fr",
        }
    }

    /// The language of a code, such as `fr` or `fr-CA`.
    pub fn of(code: &str) -> Option<Lang> {
        match code.split('-').next()?.trim().to_ascii_lowercase().as_str() {
            "en" => Some(Lang::English),
            "fr" => Some(Lang::French),
            _ => None,
        }
    }

    /// The one of our languages that an `Accept-Language` header likes best.
    pub fn accepted(header: &str) -> Option<Lang> {
        let mut best: Option<(Lang, f32)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';');
            let Some(lang) = parts.next().and_then(Lang::of) else { continue };
            let quality = parts.find_map(|p| p.trim().strip_prefix("q=")).and_then(|q| q.trim().parse().ok());
            let quality: f32 = quality.unwrap_or(1.0);
            if quality > 0.0 && best.is_none_or(|(_, before)| quality > before) {
                best = Some((lang, quality));
            }
        }
        best.map(|(lang, _)| lang)
    }
}

macro_rules! words {
    ($($name:ident: $en:literal, $fr:literal;)*) => {
        #[allow(missing_docs)]
        impl Lang {
            $(pub fn $name(self) -> &'static str {
                match self {
                    Lang::English => $en,
                    Lang::French => $fr,
                }
            })*
        }

        #[cfg(test)]
        const PAIRS: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $fr)),*];
    };
}

words! {
    administration: "Manage this server", "Gérer ce serveur";
    for_administrators: "This page is for administrators.", "Cette page est réservée aux administrateurs.";
    done: "Done.", "C’est fait.";
    not_there: "There is no such thing any more.", "Cela n’existe plus.";
    not_yourself: "This cannot be done to your own account here.", "Ceci ne peut pas être fait ici sur votre propre compte.";
    new_password_of: "Shown only now, to be changed at the first sign-in: the new password of",
        "Affiché une seule fois, à changer à la première connexion : le nouveau mot de passe de";
    new_password_for: "New password", "Nouveau mot de passe";
    apps_and_services: "Apps and services", "Applications et services";
    users: "Users", "Utilisateurs";
    signing_keys: "Signing keys", "Clés de signature";
    approve: "Approve", "Approuver";
    disable: "Disable", "Désactiver";
    enable: "Enable", "Activer";
    disabled: "disabled", "désactivé";
    active: "in use", "en service";
    waiting: "waits for approval", "attend une approbation";
    rotate: "Make a new key", "Créer une nouvelle clé";
    skip: "Skip to content", "Aller au contenu";
    sign_in: "Sign in", "Se connecter";
    sign_in_for: "to continue to", "pour continuer vers";
    user_name: "User name", "Nom d’utilisateur";
    password: "Password", "Mot de passe";
    sign_out: "Sign out", "Se déconnecter";
    sign_out_question: "Do you want to sign out of this browser?", "Voulez-vous vous déconnecter de ce navigateur ?";
    signed_out: "You are signed out", "Vous êtes déconnecté";
    signed_out_text: "You can close this page.", "Vous pouvez fermer cette page.";
    sign_in_again: "Sign in again", "Se reconnecter";
    signed_in_as: "Signed in as", "Connecté en tant que";
    with: "Sign in with", "Se connecter avec";
    or: "or", "ou";
    with_passkey: "Sign in with a passkey", "Se connecter avec une clé d’accès";
    wrong: "User name or password are wrong, or the account cannot be used. Please try again.",
        "Le nom d’utilisateur ou le mot de passe est erroné, ou le compte ne peut pas être utilisé. Veuillez réessayer.";
    wrong_password: "The password is wrong.", "Le mot de passe est erroné.";
    wrong_code: "The code is wrong or was used already. Wait for the next one and try again.",
        "Le code est erroné ou a déjà été utilisé. Attendez le suivant et réessayez.";
    outside_failed: "Signing in there did not succeed, or no account here belongs to you. Ask your administrator.",
        "La connexion n’a pas abouti, ou aucun compte ici ne vous correspond. Adressez-vous à votre administrateur.";
    second_factor: "Second step", "Deuxième étape";
    second_factor_text: "Enter the six digits that your authenticator app shows, or one of your recovery codes.",
        "Saisissez les six chiffres affichés par votre application d’authentification, ou l’un de vos codes de secours.";
    one_code: "Code", "Code";
    go_on: "Continue", "Continuer";
    cancel: "Cancel", "Annuler";
    problem: "Something is wrong", "Un problème est survenu";
    request_over: "This sign-in request is over or was answered already. Go back to the app and start again.",
        "Cette demande de connexion est expirée ou a déjà reçu une réponse. Retournez à l’application et recommencez.";
    unusable: "This does not work", "Cela ne fonctionne pas";
    unusable_text: "An app wanted to connect, but its request cannot be used. Nothing was shared with it.",
        "Une application a voulu se connecter, mais sa demande n’est pas utilisable. Rien ne lui a été transmis.";
    for_the_developer: "For its developer:", "Pour son développeur :";
    form_over: "This form is too old or does not come from this page. Please try again.",
        "Ce formulaire est trop ancien ou ne provient pas de cette page. Veuillez réessayer.";
    try_again_later: "The server cannot do this at the moment. Please try again later.",
        "Le serveur ne peut pas traiter la demande pour le moment. Veuillez réessayer plus tard.";
    choose_patient: "Choose a patient", "Choisir un patient";
    choose_patient_text: "will work with the record of the patient you choose.",
        "travaillera avec le dossier du patient que vous choisissez.";
    patient_name: "Name", "Nom";
    birth_date: "Date of birth", "Date de naissance";
    identifier: "Identifier", "Identifiant";
    search: "Search", "Rechercher";
    nobody_found: "No patient was found that you may see. Try part of a name only.",
        "Aucun patient que vous pouvez voir n’a été trouvé. Essayez avec une partie du nom seulement.";
    more_found: "There are more than are shown here; search more closely.",
        "Il y en a davantage que ceux affichés ici ; précisez la recherche.";
    choose: "Choose", "Choisir";
    not_that_patient: "That patient cannot be chosen.", "Ce patient ne peut pas être choisi.";
    unnamed: "(no name)", "(sans nom)";
    born: "born", "né(e) le";
    female: "female", "féminin";
    male: "male", "masculin";
    other_gender: "other", "autre";
    consent_for: "Allow access", "Autoriser l’accès";
    emergency: "Emergency access", "Accès d’urgence";
    emergency_text: "Only if somebody’s life or health is in danger: security labels and refused consents hide nothing \
        then, for one hour. Your reason is kept in the audit trail.",
        "Seulement si la vie ou la santé d’une personne est en danger : les étiquettes de sécurité et les consentements \
        refusés ne cachent alors plus rien, pendant une heure. Votre motif est conservé dans le journal d’audit.";
    emergency_reason: "Reason for emergency access", "Motif de l’accès d’urgence";
    wants_access: "asks for access.", "demande un accès.";
    wants_text: "You decide what it may do. Untick what you do not want to allow.",
        "C’est vous qui décidez. Décochez ce que vous ne voulez pas autoriser.";
    record_of: "Record of", "Dossier de";
    health_data: "Health data", "Données de santé";
    also: "It also asks", "Elle demande aussi";
    only_some: "Only some kinds", "Certaines catégories seulement";
    only_some_types: "Only some types", "Certains types seulement";
    only_some_text: "If you tick anything here, only that is allowed.",
        "Si vous cochez une case ici, seul ce choix est autorisé.";
    allow: "Allow", "Autoriser";
    deny: "Do not allow", "Refuser";
    scope_openid: "know who you are", "savoir qui vous êtes";
    scope_profile: "know the record that stands for you", "connaître la fiche qui vous représente";
    scope_launch: "know the patient that is open", "connaître le patient ouvert";
    scope_launch_patient: "know the chosen patient", "connaître le patient choisi";
    scope_launch_encounter: "know the present encounter", "connaître la rencontre en cours";
    scope_offline: "keep access when you are away, until you revoke it",
        "garder l’accès en votre absence, jusqu’à ce que vous le révoquiez";
    scope_online: "keep access while you are signed in", "garder l’accès tant que vous êtes connecté";
    reach_patient: "of this patient", "de ce patient";
    reach_user: "that you may see yourself", "que vous pouvez voir vous-même";
    reach_system: "of everybody", "de tous";
    everything: "All types of data", "Tous les types de données";
    may_read: "read", "lire";
    may_search: "search", "rechercher";
    may_create: "add", "ajouter";
    may_update: "change", "modifier";
    may_delete: "delete", "supprimer";
    apps: "My apps", "Mes applications";
    apps_text: "These apps may work in your name. If you revoke one, it loses its access at once.",
        "Ces applications peuvent agir en votre nom. Si vous en révoquez une, elle perd aussitôt son accès.";
    since: "since", "depuis le";
    no_apps: "No app has access in your name.", "Aucune application n’a d’accès en votre nom.";
    revoke: "Revoke", "Révoquer";
    revoked: "The access was revoked.", "L’accès a été révoqué.";
    account: "My account", "Mon compte";
    role: "Role", "Rôle";
    stands_for: "Record", "Fiche";
    change_password: "Change password", "Changer le mot de passe";
    must_change: "Your password was chosen by somebody else. Please choose one that only you know.",
        "Votre mot de passe a été choisi par quelqu’un d’autre. Veuillez en choisir un que vous seul connaissez.";
    old_password: "Present password", "Mot de passe actuel";
    new_password: "New password", "Nouveau mot de passe";
    new_password_again: "New password again", "Nouveau mot de passe, encore une fois";
    password_rule: "At least 10 characters. Several words are good.",
        "Au moins 10 caractères. Plusieurs mots conviennent bien.";
    passwords_differ: "The two new passwords differ.", "Les deux nouveaux mots de passe diffèrent.";
    password_short: "The new password is too short.", "Le nouveau mot de passe est trop court.";
    password_long: "The new password is too long.", "Le nouveau mot de passe est trop long.";
    password_named: "The new password is too easy to guess: it contains the name of your account.",
        "Le nouveau mot de passe est trop facile à deviner : il contient le nom de votre compte.";
    password_popular: "The new password is too easy to guess: it is hardly more than a word that is tried first.",
        "Le nouveau mot de passe est trop facile à deviner : ce n’est guère plus qu’un mot que l’on essaie d’abord.";
    password_repeated: "The new password is too easy to guess: it is one character again and again.",
        "Le nouveau mot de passe est trop facile à deviner : c’est toujours le même caractère.";
    password_changed: "The password was changed. All other browsers are signed out.",
        "Le mot de passe a été changé. Tous les autres navigateurs sont déconnectés.";
    totp: "Authenticator app", "Application d’authentification";
    totp_on: "A second step is asked for when you sign in.", "Une deuxième étape est demandée à la connexion.";
    totp_off: "Signing in asks for the password only. With an authenticator app a stolen password is of no use.",
        "Seul le mot de passe est demandé à la connexion. Avec une application d’authentification, un mot de passe volé ne sert à rien.";
    totp_set_up: "Set up an app", "Configurer une application";
    totp_remove: "Remove the app", "Retirer l’application";
    totp_removed: "The app was removed.", "L’application a été retirée.";
    totp_scan: "Scan this code with your authenticator app:", "Scannez ce code avec votre application d’authentification :";
    totp_type: "or type this key into it:", "ou saisissez-y cette clé :";
    totp_drawing: "QR code of the key", "Code QR de la clé";
    totp_confirm: "Then enter the code that it shows", "Saisissez ensuite le code affiché";
    codes_left: "recovery codes left", "codes de secours restants";
    recovery: "Recovery codes", "Codes de secours";
    recovery_text: "Print these codes or write them down, and keep them in a safe place. Each signs you in once if you lose your app. They are shown only now.",
        "Imprimez ou notez ces codes et gardez-les en lieu sûr. Chacun permet une connexion si vous perdez votre application. Ils ne sont affichés qu’une seule fois.";
    recovery_done: "I have kept them", "Je les ai conservés";
    passkeys: "Passkeys", "Clés d’accès";
    passkeys_text: "A passkey signs you in with your device, without a password.",
        "Une clé d’accès vous connecte avec votre appareil, sans mot de passe.";
    passkey_add: "Add a passkey", "Ajouter une clé d’accès";
    passkey_remove: "Remove", "Retirer";
    passkey_failed: "The passkey was not accepted.", "La clé d’accès n’a pas été acceptée.";
    passkey_added: "The passkey was added.", "La clé d’accès a été ajoutée.";
    passkey_now: "Your browser now asks your device.", "Votre navigateur interroge maintenant votre appareil.";
    passkey_script: "Passkeys need JavaScript. You can sign in by password without it.",
        "Les clés d’accès nécessitent JavaScript. La connexion par mot de passe fonctionne sans.";
    no_passkeys: "You have no passkey.", "Vous n’avez pas de clé d’accès.";
}

impl Lang {
    /// How long to wait after wrong attempts.
    pub fn wait(self, seconds: u64) -> String {
        let (number, minutes) = if seconds < 100 { (seconds, false) } else { (seconds.div_ceil(60), true) };
        match (self, minutes) {
            (Lang::English, false) => format!("Too many attempts. Please wait {number} seconds and try again."),
            (Lang::English, true) => format!("Too many attempts. Please wait {number} minutes and try again."),
            (Lang::French, false) => format!("Trop de tentatives. Veuillez attendre {number} secondes et réessayer."),
            (Lang::French, true) => format!("Trop de tentatives. Veuillez attendre {number} minutes et réessayer."),
        }
    }

    /// A role, by its code.
    pub fn role_name(self, code: &str) -> &str {
        const NAMES: [(&str, &str, &str); 9] = [
            ("administrator", "Administrator", "Administration"),
            ("doctor", "Doctor", "Médecin"),
            ("nurse", "Nurse", "Soins infirmiers"),
            ("pharmacist", "Pharmacist", "Pharmacie"),
            ("laboratory-technician", "Laboratory technician", "Laboratoire"),
            ("receptionist", "Receptionist", "Accueil"),
            ("civil-authority", "Civil authority", "Autorité civile"),
            ("patient", "Patient", "Patient"),
            ("auditor", "Auditor", "Audit"),
        ];
        let found = NAMES.iter().find(|(known, ..)| *known == code);
        found.map_or(code, |(_, en, fr)| if self == Lang::English { en } else { fr })
    }

    /// What a type of resource is called by people who do not know FHIR; the type itself where there is no such word.
    pub fn type_name(self, kind: &str) -> &str {
        const NAMES: [(&str, &str, &str); 26] = [
            ("Patient", "Personal details", "Données personnelles"),
            ("AllergyIntolerance", "Allergies", "Allergies"),
            ("CarePlan", "Care plans", "Plans de soins"),
            ("CareTeam", "Care teams", "Équipes de soins"),
            ("Condition", "Diagnoses and problems", "Diagnostics et problèmes"),
            ("Coverage", "Insurance", "Assurance"),
            ("Device", "Devices and implants", "Dispositifs et implants"),
            ("DiagnosticReport", "Reports", "Comptes rendus"),
            ("DocumentReference", "Documents", "Documents"),
            ("Encounter", "Visits", "Visites"),
            ("Goal", "Goals", "Objectifs"),
            ("Immunization", "Vaccinations", "Vaccinations"),
            ("Location", "Places", "Lieux"),
            ("Medication", "Medicines", "Médicaments"),
            ("MedicationDispense", "Dispensed medicines", "Médicaments délivrés"),
            ("MedicationRequest", "Prescriptions", "Ordonnances"),
            ("Observation", "Measurements and results", "Mesures et résultats"),
            ("Organization", "Organizations", "Organisations"),
            ("Practitioner", "Health professionals", "Professionnels de santé"),
            ("PractitionerRole", "Roles of health professionals", "Fonctions des professionnels"),
            ("Procedure", "Procedures", "Actes"),
            ("Provenance", "Origin of the data", "Origine des données"),
            ("QuestionnaireResponse", "Questionnaires", "Questionnaires"),
            ("RelatedPerson", "Relatives", "Proches"),
            ("ServiceRequest", "Orders and referrals", "Demandes et orientations"),
            ("Specimen", "Specimens", "Échantillons"),
        ];
        let found = NAMES.iter().find(|(known, ..)| *known == kind);
        found.map_or(kind, |(_, en, fr)| if self == Lang::English { en } else { fr })
    }

    /// What a category of resources is called, by its code; the code where there is no such word.
    pub fn category_name(self, code: &str) -> &str {
        const NAMES: [(&str, &str, &str); 14] = [
            ("encounter-diagnosis", "diagnoses of visits", "diagnostics des visites"),
            ("problem-list-item", "list of problems", "liste des problèmes"),
            ("health-concern", "health concerns", "préoccupations de santé"),
            ("laboratory", "laboratory", "laboratoire"),
            ("social-history", "social history", "situation sociale"),
            ("vital-signs", "vital signs", "signes vitaux"),
            ("survey", "surveys", "questionnaires"),
            ("imaging", "imaging", "imagerie"),
            ("procedure", "procedures", "actes"),
            ("exam", "examinations", "examens"),
            ("therapy", "therapies", "traitements"),
            ("activity", "activity", "activité physique"),
            ("sdoh", "living conditions", "conditions de vie"),
            ("clinical-test", "clinical tests", "tests cliniques"),
        ];
        let found = NAMES.iter().find(|(known, ..)| *known == code);
        found.map_or(code, |(_, en, fr)| if self == Lang::English { en } else { fr })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_best() {
        let check = |header: &str, expected: Option<Lang>| assert_eq!(Lang::accepted(header), expected, "{header}");
        check("fr-CA,fr;q=0.8,en;q=0.5", Some(Lang::French));
        check("de, en;q=0.5, fr;q=0.7", Some(Lang::French));
        check("en-GB", Some(Lang::English));
        check("de", None);
        check("fr;q=0", None);
        check("", None);
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        for (name, en, fr) in PAIRS {
            assert!(!en.is_empty() && !fr.is_empty(), "{name}");
            let same = ["one_code"].contains(name);
            assert!(same || en != fr, "{name} is not translated");
        }
    }
}
