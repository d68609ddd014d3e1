"""Whether configs/schema.json judges as the parser does: every shipped config, and every document of documents.json.

usage: schema_test.py CONFIGS DOCUMENTS      exit 1 if it does not

An entry of DOCUMENTS has a "document", or the one "layer" of it, or the "weight" of such a layer. It is invalid if it has an
"error"; if it has a "schema" too, that says why a schema has to let it pass.
"""

import json
import pathlib
import sys

import jsonschema


def document_of(entry):
    if "document" in entry:
        return entry["document"]
    layer = entry.get("layer") or {
        "type": "conv_transpose3d",
        "kernel_size": 2,
        "stride": 2,
        "bias": False,
        "weights": {"weight": entry["weight"]},
    }
    return {"version": 1, "layers": [layer]}


def main(configs, documents):
    schema = json.loads((configs / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = []
    shipped = [file for file in sorted(configs.glob("*.json")) if file.name != "schema.json"]
    for file in shipped:
        if not validator.is_valid(json.loads(file.read_text(encoding="utf-8"))):
            wrong.append(f"{file.name}: refused by the schema")
    entries = json.loads(documents.read_text(encoding="utf-8"))
    for entry in entries:
        expected = "error" not in entry or "schema" in entry
        if validator.is_valid(document_of(entry)) != expected:
            wrong.append(f"{entry['name']}: {'refused' if expected else 'accepted'} by the schema")
    print("\n".join(wrong) if wrong else f"{len(shipped)} configs and {len(entries)} documents judged as by the parser")
    return 1 if wrong or not shipped else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
