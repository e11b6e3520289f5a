//! R4 search.html#composite.

use super::check_all;

const PRESSURE: &str = "'code':{'coding':[{'system':'http://loinc.org','code':'85354-9'}]},'component':[\
    {'code':{'coding':[{'system':'http://loinc.org','code':'8480-6'}]},'valueQuantity':{'value':120,'unit':'mmHg','system':'http://unitsofmeasure.org','code':'mm[Hg]'}},\
    {'code':{'coding':[{'system':'http://loinc.org','code':'8462-4'}]},'valueQuantity':{'value':80,'comparator':'<','unit':'mmHg'}},\
    {'code':{'coding':[{'code':'x'}]},'valueCodeableConcept':{'coding':[{'system':'s','code':'high'}]}}]";

#[test]
fn code_and_quantity() {
    check_all(
        "Observation",
        PRESSURE,
        "component-code-value-quantity",
        &[
            "8480-6$120",
            "http://loinc.org|8480-6$gt100",
            "http://loinc.org|8480-6$120||mmHg",
            "8480-6$120||mm[Hg]",
            "http://loinc.org|8480-6$120|http://unitsofmeasure.org|mm[Hg]",
            "http://loinc.org|$gt100",
            "8462-4$lt80",
            "8462-4$lt10",
            "http://loinc.org|8462-4$eb80",
            "http://loinc.org|8462-4$lt80||mmHg",
            "http://loinc.org|8480-6$ne100",
            "http://loinc.org|8480-6$ap115",
        ],
        &[
            "8480-6$80",
            "8462-4$gt80",
            "8462-4$120",
            "http://loinc.or|8480-6$120",
            "|8480-6$120",
            "8480-6$120||kg",
            "http://loinc.org|8480-6$120|http://unitsofmeasure.org|mmHg",
            "8480$120",
            "85354-9$120",
            "x$120",
            "http://loinc.org|8462-4$ge80",
            "http://loinc.org|8480-6$ne120",
            "http://loinc.org|8480-6$gt120",
        ],
    );
    check_all("Observation", PRESSURE, "combo-code-value-quantity", &["8480-6$120"], &["85354-9$120", "8462-4$120"]);
    check_all("Observation", PRESSURE, "code-value-quantity", &[], &["85354-9$120", "8480-6$120"]);
    check_all(
        "Observation",
        PRESSURE,
        "component-code-value-concept",
        &["x$high", "|x$s|high", "x$s|"],
        &["x$low", "8480-6$high", "x$t|high", "x$|high"],
    );
    let simple =
        "'code':{'coding':[{'system':'a','code':'w'},{'system':'ab','code':'v'}]},'valueQuantity':{'value':-7.25}";
    check_all(
        "Observation",
        simple,
        "code-value-quantity",
        &["w$-7.25", "a|w$lt0", "ab|v$lt-7", "v$-7.25"],
        &["ab|w$lt0", "a|v$lt0", "a|w$gt0", "a|w$-7.25||kg"],
    );
}

#[test]
fn other_components() {
    let text = "'code':{'coding':[{'system':'s','code':'c'}]},'valueString':'Long Text'";
    check_all(
        "Observation",
        text,
        "code-value-string",
        &["c$long", "s|c$long text", "s|c$exact:Long Text", "c$contains:text"],
        &["c$text", "d$long", "s|c$exact:long text", "s|c$longer"],
    );
    let moment = "'code':{'coding':[{'system':'s','code':'c'}]},'valueDateTime':'2020-05-05'";
    check_all(
        "Observation",
        moment,
        "code-value-date",
        &["c$2020", "s|c$2020-05-05", "s|c$gt2020-05-04", "s|c$lt2020-06"],
        &["c$2019", "s|c$gt2020-05-05", "s|d$2020"],
    );
    let window = "'referenceSeq':{'referenceSeqId':{'coding':[{'system':'n','code':'NC_1'}]},'chromosome':{'coding':[{'code':'1'}]},'windowStart':10,'windowEnd':20},\
        'variant':[{'start':11,'end':12},{'start':15,'end':19}]";
    check_all(
        "MolecularSequence",
        window,
        "chromosome-window-coordinate",
        &["1$10$20", "1$lt11$gt19", "|1$10$20"],
        &["1$10$21", "2$10$20", "1$11$20"],
    );
    check_all(
        "MolecularSequence",
        window,
        "chromosome-variant-coordinate",
        &["1$11$12", "1$15$19"],
        &["1$11$19", "1$15$12"],
    );
    check_all(
        "MolecularSequence",
        window,
        "referenceseqid-variant-coordinate",
        &["NC_1$11$12", "n|NC_1$15$19"],
        &["n|NC_1$11$19"],
    );
    let group = "'characteristic':[{'code':{'coding':[{'code':'g'}]},'valueBoolean':true},{'code':{'coding':[{'code':'h'}]},'valueCodeableConcept':{'coding':[{'code':'y'}]}}]";
    check_all("Group", group, "characteristic-value", &["g$true", "h$y"], &["g$y", "h$true", "g$false"]);
    let related = "'relatesTo':[{'code':'replaces','target':{'reference':'DocumentReference/d'}},{'code':'appends','target':{'reference':'http://x/y'}}]";
    check_all(
        "DocumentReference",
        related,
        "relationship",
        &["replaces$d", "replaces$DocumentReference/d", "appends$http://x/y"],
        &["appends$d", "replaces$e"],
    );
    let context = "'useContext':[{'code':{'system':'u','code':'age'},'valueRange':{'low':{'value':10},'high':{'value':20}}},{'code':{'code':'focus'},'valueCodeableConcept':{'coding':[{'code':'d'}]}}]";
    check_all(
        "Library",
        context,
        "context-type-quantity",
        &["age$gt15", "u|age$lt15", "u|age$sa9"],
        &["age$gt20", "focus$gt1"],
    );
    check_all("Library", context, "context-type-value", &["focus$d"], &["age$d"]);
    check_all("Library", context, "context-quantity", &["gt15"], &["sa15"]);
}
