"""A schema as a later version may have it: penstock.fbs with what may be added to it, at the end of every table and enum.

    newer_schema.py penstock.fbs NAMESPACE > newer.fbs
"""
import re
import sys

TABLE = """
  later_number: uint64 = 7;
  later_text: string;
  later: Later;
  later_list: [Later];
}"""
LATER = """
table Later {
  number: uint32;
  text: string;
}
"""


def newer(schema, namespace):
    schema, tables = re.subn(r"(table \w+ \{[^}]*)\}", lambda found: found[1].rstrip() + TABLE, schema)
    schema, enums = re.subn(r"(enum \w+: \w+ \{[^}]*?),?\s*\}", r"\1, Later }", schema)
    assert tables > 15 and enums >= 3, (tables, enums)
    return schema.replace("namespace penstock.proto;", f"namespace {namespace};") + LATER


if __name__ == "__main__":
    print(newer(open(sys.argv[1]).read(), sys.argv[2]), end="")
