"""What `penstock bench` says and leaves behind. No figure is judged here: only that it is there, and follows from
its rounds."""
import json
import os
import pathlib
import signal
import statistics
import subprocess

import harness

PENSTOCK = harness.BUILD / "tools" / "penstock" / "penstock"
SIZES = ["4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB"]
ARMS = [f"{size} x {depth}" for size in SIZES for depth in (1, 2, 4, 8)]
FIGURES = {"bytes_per_s", "writes_per_s", "p50_us", "p99_us", "max_us"}


def bench(*words):
    return subprocess.run([PENSTOCK, "bench", *map(str, words)], capture_output=True, text=True)


def disk(folder, *words):
    """A short run over every size; its result."""
    done = bench("disk", folder, "--seconds", 0.005, "--size", "16MiB", "-o", "json", *words)
    if done.returncode and "O_DIRECT" in done.stderr:
        harness.skip("the build directory's file system has no O_DIRECT")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_disk():
    with harness.scratch("bench") as folder:
        result = disk(folder)
        assert not list(folder.iterdir())
    assert (result["penstock_bench"], result["scenario"]) == (1, "disk")
    assert result["durability"] in ("media", "none")
    assert result["arms"] == ARMS
    assert result["load"]["file bytes"] == str(16 << 20)
    for fact in ("cpu", "kernel", "file system", "disk", "penstock", "commit", "date", "command", "advised block"):
        assert result["manifest"].get(fact), (fact, result["manifest"])
    assert result["manifest"]["command"].startswith("penstock bench disk ")
    rounds = result["rounds"]
    assert len(rounds) + result["dropped"] == 7 and rounds
    assert not (result["dropped"] and any(one["noisy"] for one in rounds))
    for one in rounds:
        assert set(one["arms"]) == set(ARMS) and 0 <= one["others"]
        assert one["noisy"] == (one["others"] > 0.10)
        for figures in one["arms"].values():
            assert set(figures) == FIGURES
            assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["max_us"], figures
            assert figures["bytes_per_s"] > 0
    for arm in ARMS:
        for figure in FIGURES:
            summary = result["summary"][arm][figure]
            values = [one["arms"][arm][figure] for one in rounds]
            low, high = summary["interval_95"]
            assert summary["median"] == statistics.median(values), (arm, figure)
            assert min(values) <= low <= summary["median"] <= high <= max(values), (arm, figure)
            assert summary["rounds"] == len(rounds)


def scratch_file_of(process):
    """What the kernel calls the open file that has no name, if it is there yet."""
    for link in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if ".penstock-bench-" in target:
            return target
    return None


def test_a_signal_leaves_nothing_behind():
    for number in signal.SIGINT, signal.SIGKILL:
        with harness.scratch("bench") as folder:
            disk(folder, "--rounds", 1)
            process = subprocess.Popen([PENSTOCK, "bench", "disk", folder, "--seconds", "60", "--size", "64MiB"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            target = harness.eventually(lambda: scratch_file_of(process), what="the scratch file is open")
            assert target.startswith(str(folder)), target
            process.send_signal(number)
            process.communicate(timeout=60)
            assert process.returncode == -number
            assert not list(folder.iterdir())


def test_disk_refuses_with_words():
    with harness.scratch("bench") as folder:
        for words, status, part in (
                ([folder / "absent"], 3, "mkdir -p"),
                ([folder, "--size", "much"], 2, "16MiB to 64GiB"),
                ([folder, "--size", "1MiB"], 2, "16MiB to 64GiB"),
                ([folder, "--seconds", "-1"], 2, "--seconds"),
                ([folder, "--hdr", folder / "absent" / "log", "--size", "16MiB"], 1, "log of latencies")):
            done = bench("disk", *words)
            assert done.returncode == status and part in done.stderr and "PS-" in done.stderr, done
            assert not done.stdout
        assert not list(folder.iterdir())


def test_latencies_are_a_log_that_hdrhistogram_reads():
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader
    with harness.scratch("bench") as folder:
        path = folder / "latencies.hlog"
        result = disk(folder, "--rounds", 2, "--hdr", path)
        assert path.read_text().startswith("#[Histogram log format version 1.3]\n")
        reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000_000, 3))
        intervals = list(iter(reader.get_next_interval_histogram, None))
    assert [one.get_tag() for one in intervals] == [arm.replace(" ", "_") for arm in ARMS + ARMS[::-1]]
    assert len(intervals) == 40
    if result["dropped"] or len(result["rounds"]) != 2:
        return  # which of them was dropped is not in the result
    for number, one in enumerate(intervals):
        figures = result["rounds"][number // 20]["arms"][(ARMS + ARMS[::-1])[number]]
        # In nanoseconds; both tell the upper end of a bucket, which is a thousandth wide.
        assert abs(one.get_max_value() / 1000 / figures["max_us"] - 1) < 0.002
        count = one.get_total_count()
        middle = one.get_value_at_percentile(100 * ((count + 1) // 2) / count)
        assert abs(middle / 1000 / figures["p50_us"] - 1) < 0.002


def test_compare():
    with harness.scratch("bench") as folder:
        for name in "before.json", "after.json":
            (folder / name).write_text(json.dumps(disk(folder, "--rounds", 2)))
        done = bench("compare", folder / "before.json", folder / "after.json", "-o", "json")
        assert done.returncode == 0, done.stderr
        figures = json.loads(done.stdout)["figures"]
        assert len(figures) == len(ARMS) * len(FIGURES)
        assert not any(one["ratio"]["conclusive"] for one in figures)  # of two rounds
        assert bench("compare", folder / "before.json", folder / "after.json").stdout.count("inconclusive") >= 100

        other = json.loads((folder / "after.json").read_text())
        other["durability"] = "1 s"
        (folder / "other.json").write_text(json.dumps(other))
        done = bench("compare", folder / "before.json", folder / "other.json")
        assert done.returncode == 6 and "PS-5010" in done.stderr and "1 s" in done.stderr, done
        other = json.loads((folder / "after.json").read_text())
        other["load"]["seconds"] = "7"
        (folder / "other.json").write_text(json.dumps(other))
        done = bench("compare", folder / "before.json", folder / "other.json")
        assert done.returncode == 6 and "PS-5011" in done.stderr and "seconds: 0.005 and 7" in done.stderr, done
        (folder / "other.json").write_text("{")
        done = bench("compare", folder / "before.json", folder / "other.json", "-o", "json")
        error = json.loads(done.stderr)["error"]
        assert (done.returncode, error["code"]) == (2, "PS-5009") and error["file"].endswith("other.json"), done
        done = bench("compare", folder / "before.json", folder / "absent.json")
        assert done.returncode == 3 and "PS-5007" in done.stderr, done


harness.run(globals())
