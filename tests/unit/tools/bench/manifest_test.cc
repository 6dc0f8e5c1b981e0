// Goal: the manifest finds the file system that counts, and tells no secrets. Method: mount tables and command
// lines by hand; one manifest of the machine at hand, for its shape.
#include "bench/manifest.h"

#include <gtest/gtest.h>

namespace penstock::tools::bench {
namespace {

constexpr const char* kMounts =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "30 27 8:1 / /data rw shared:5 - xfs /dev/sda1 rw\n"
    "31 27 8:2 / /my\\040disk rw - btrfs /dev/sdb rw\n"
    "32 30 0:40 / /data/over rw - ext4 /dev/sdc rw\n"
    "33 32 0:41 / /data/over rw - tmpfs none rw\n"
    "damaged\n";

TEST(Manifest, TheDeepestAndLastMountCounts) {
  EXPECT_EQ(mount_of("/var/lib", kMounts).type, "ext4");
  EXPECT_EQ(mount_of("/data/x/y", kMounts).source, "/dev/sda1");
  EXPECT_EQ(mount_of("/data", kMounts).type, "xfs");
  EXPECT_EQ(mount_of("/database", kMounts).source, "/dev/vda");
  EXPECT_EQ(mount_of("/my disk/x", kMounts).type, "btrfs");
  EXPECT_EQ(mount_of("/data/over/x", kMounts).type, "tmpfs");
  EXPECT_EQ(mount_of("", kMounts).type, "");
}

TEST(Manifest, DisksAreToldByKind) {
  EXPECT_EQ(disk_kind("nvme0n1"), "NVMe");
  EXPECT_EQ(disk_kind("vda"), "virtio");
  EXPECT_EQ(disk_kind("sdc"), "SCSI or SATA");
  EXPECT_EQ(disk_kind("dm-0"), "device mapper");
  EXPECT_EQ(disk_kind("sr0"), "other");
}

TEST(Manifest, TheCommandLineTellsNoPasswordAndNoPath) {
  EXPECT_EQ(shown_command({"/opt/bin/penstock", "bench", "put"}), "penstock bench put");
  EXPECT_EQ(shown_command({"penstock", "--against=redis://me:secret@host:6379/1"}),
            "penstock --against=redis://…@host:6379/1");
  EXPECT_EQ(shown_command({"penstock", "redis://a:p@ss@host"}), "penstock redis://…@host");
  EXPECT_EQ(shown_command({"penstock", "me@host", "tls://host"}), "penstock me@host tls://host");
  EXPECT_EQ(shown_command({"penstock", "\xff"}), "penstock \\xff");
}

TEST(Manifest, AFactIsThereOnce) {
  Manifest manifest;
  manifest.set("a", "1");
  manifest.set("b", "2");
  manifest.set("a", "3");
  EXPECT_EQ(manifest.facts, (Facts{{"a", "3"}, {"b", "2"}}));
  EXPECT_EQ(manifest.find("c"), nullptr);
}

TEST(Manifest, OfThisMachine) {
  const Manifest manifest = manifest_of_machine(".");
  for (const char* fact : {"date", "command", "penstock", "commit", "compiler", "cpu", "cpus",
                           "memory", "virtual", "kernel", "file system", "disk"}) {
    const std::string* value = manifest.find(fact);
    ASSERT_NE(value, nullptr) << fact;
    EXPECT_FALSE(value->empty()) << fact;
  }
  EXPECT_EQ(manifest.find("date")->size(), 10U);
  EXPECT_EQ(manifest.find("command")->find("unit_tools"), 0U);
  EXPECT_EQ(manifest.durability, kDurableUnknown);
  EXPECT_EQ(manifest_of_machine("").find("disk"), nullptr);
}

}  // namespace
}  // namespace penstock::tools::bench
