// Goal: whoever was built with version 1 of the schema understands today's bytes, and the other way round. Method: both
// schemas in the parser of FlatBuffers, whose own comparison passes over what is missing and over structs that have grown;
// the same is asked of today's schema with each kind of mistake in it.
#include <flatbuffers/idl.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace penstock::proto {
namespace {

std::string text_of(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string name_of(const flatbuffers::Definition& definition) {
  return definition.defined_namespace->GetFullyQualifiedName(definition.name);
}

bool same_type(const flatbuffers::Type& a, const flatbuffers::Type& b) {
  const auto name = [](const flatbuffers::Type& type) {
    return type.struct_def != nullptr ? name_of(*type.struct_def)
           : type.enum_def != nullptr ? name_of(*type.enum_def)
                                      : std::string();
  };
  return a.base_type == b.base_type && a.element == b.element && a.fixed_length == b.fixed_length &&
         name(a) == name(b);
}

// What is wrong with a later table or struct, empty if nothing.
std::string broken(const flatbuffers::StructDef& old, const flatbuffers::StructDef& later) {
  if (old.fixed != later.fixed) return "is a table no more, or a struct no more";
  if (old.fixed && (old.bytesize != later.bytesize || old.minalign != later.minalign)) {
    return "a struct has another size: it lies in vectors";
  }
  for (const flatbuffers::FieldDef* field : old.fields.vec) {
    const flatbuffers::FieldDef* now = later.fields.Lookup(field->name);
    if (now == nullptr) return field->name + " is missing";
    if (now->value.offset != field->value.offset) return field->name + " has another place";
    if (!same_type(now->value.type, field->value.type)) return field->name + " has another type";
    if (now->value.constant != field->value.constant) return field->name + " has another default";
    if (now->deprecated || now->IsRequired()) return field->name + " is deprecated or required";
  }
  for (const flatbuffers::FieldDef* field : later.fields.vec) {
    const bool added = old.fields.Lookup(field->name) == nullptr;
    if (added && field->IsRequired()) return field->name + ": older sides do not send it";
  }
  return "";
}

std::string broken(const flatbuffers::EnumDef& old, const flatbuffers::EnumDef& later) {
  if (old.underlying_type.base_type != later.underlying_type.base_type) return "has another width";
  for (const flatbuffers::EnumVal* value : old.Vals()) {
    const flatbuffers::EnumVal* now = later.Lookup(value->name);
    if (now == nullptr) return value->name + " is missing";
    if (now->GetAsUInt64() != value->GetAsUInt64()) return value->name + " has another number";
  }
  return "";
}

template <class Definitions>
std::string first_broken(const Definitions& old, const Definitions& later) {
  for (const auto* definition : old.vec) {
    const auto* now = later.Lookup(name_of(*definition));
    const std::string what = now == nullptr ? "is missing" : broken(*definition, *now);
    if (!what.empty()) return definition->name + ": " + what;
  }
  return "";
}

// Why a schema is no evolution of version 1, empty if it is one.
std::string conflict(const std::string& schema) {
  flatbuffers::Parser old;
  flatbuffers::Parser later;
  EXPECT_TRUE(old.Parse(text_of(PENSTOCK_FBS_V1).c_str())) << old.error_;
  EXPECT_TRUE(later.Parse(schema.c_str())) << later.error_;
  EXPECT_GT(old.structs_.vec.size(), 20U);
  EXPECT_GT(old.enums_.vec.size(), 2U);
  if (std::string found = later.ConformTo(old); !found.empty()) return found;
  if (std::string found = first_broken(old.structs_, later.structs_); !found.empty()) return found;
  return first_broken(old.enums_, later.enums_);
}

TEST(Schema, TodaysIsAnEvolutionOfVersion1) { EXPECT_EQ(conflict(text_of(PENSTOCK_FBS)), ""); }

struct Change {
  const char* what;
  const char* from;
  const char* to;
};

std::string changed(const Change& change) {
  std::string schema = text_of(PENSTOCK_FBS_V1);
  const std::size_t at = schema.find(change.from);
  EXPECT_NE(at, std::string::npos) << change.what;
  return schema.replace(at, std::string(change.from).size(), change.to);
}

TEST(Schema, SeesEveryKindOfMistake) {
  const Change changes[] = {
      {"a field in front", "table OpenPut {\n", "table OpenPut {\n  first: uint64;\n"},
      {"a field between", "  producer: uint64; ", "  between: uint8;\n  producer: uint64; "},
      {"the last field gone", "  resume: bool; ", "  // "},
      {"a field gone", "  lanes_max: uint32;\n", ""},
      {"a field with another name", "  lanes_max: uint32;", "  lanes_most: uint32;"},
      {"a wider field", "  lanes_max: uint32;", "  lanes_max: uint64;"},
      {"another default", "shard: uint32 = 4294967295;", "shard: uint32 = 0;"},
      {"a required field", "  text: string;", "  text: string (required);"},
      {"a deprecated field", "  text: string;", "  text: string (deprecated);"},
      {"a longer struct", "  hash_low: uint64;\n}", "  hash_low: uint64;\n  later: uint64;\n}"},
      {"a struct in another order", "  high: uint64;\n  low: uint64;",
       "  low: uint64;\n  high: uint64;"},
      {"a struct that is a table", "struct Stored {", "table Stored {"},
      {"a value in front", "{ Creating,", "{ Unborn, Creating,"},
      {"a value gone", ", Time }", " }"},
      {"a wider enum", "enum From: ubyte", "enum From: ushort"},
      {"a table gone", "table AdminResult {\n  streams: [string];\n  more: bool;\n}", ""},
  };
  for (const Change& change : changes) EXPECT_NE(conflict(changed(change)), "") << change.what;
}

TEST(Schema, LetsItGrowAtTheEnd) {
  const Change changes[] = {
      {"a field", "  resume: bool; ", "  resume: bool;\n  later: string; "},
      {"a table", "root_type Batch;", "table Later { batches: [Batch]; }\nroot_type Batch;"},
      {"a value", ", Time }", ", Time, Later }"},
  };
  for (const Change& change : changes) EXPECT_EQ(conflict(changed(change)), "") << change.what;
}

}  // namespace
}  // namespace penstock::proto
