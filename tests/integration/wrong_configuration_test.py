"""A wrong file or command line: commands and agent end with exit code 2, and name file, line, key and remedy."""

import pytest

from harness.agent import pgduet


class TestConfiguration:
    DOCUMENT = """\
group: shop
transport: direct
regions:
  a:
    postgres: host=/nowhere dbname=shop
  b:
    postgres: host=/elsewhere dbname=shop
tables:
  public.item: {}
"""

    @pytest.mark.parametrize("command", ["check", "agent", "init", "status"])
    @pytest.mark.parametrize("before, after, said", [
        ("transport:", "transprot:", ["bad.yaml:2", "transprot", "unknown key", "did you mean 'transport'"]),
        ("dbname=shop", "dbnam=shop password=sesame", ["bad.yaml:5", "regions.a.postgres", "bad connection string"]),
        ("  b:", "  a:", ["bad.yaml:6", "regions.a", "duplicate key", "line 4"]),
        ("item: {}", "item: {}\n  public.item: {}", ["bad.yaml:10", "tables.public.item", "duplicate key"]),
        ("item: {}", "item: {policy: versions, columns: {n: counter}}", ["bad.yaml:9", "tables.public.item.columns", "'merge'", "'versions'"]),
        ("item: {}", "item: {policy: latest_wins}", ["bad.yaml:9", "tables.public.item.policy", "'latest_wins'"]),
        ("item: {}", "item: {on_delete: delete_wins}", ["bad.yaml:9", "tables.public.item.on_delete", "newest_wins"]),
        ("public.item: {}", "item: {}", ["bad.yaml:9", "tables.item", "schema.table"]),
        ("transport: direct", "transport: kafka", ["bad.yaml:4", "regions.a.kafka.brokers", "missing"]),
        ("  b:\n    postgres: host=/elsewhere dbname=shop\n", "", ["regions", "at least two"]),
        ("group: shop", "group: ${PGDUET_TEST_UNSET}", ["bad.yaml:1", "PGDUET_TEST_UNSET", "not set"]),
        ("group: shop", "group: [", ["bad.yaml", "YAML"]),
    ])
    def test_a_wrong_file_is_refused(self, tmp_path, command, before, after, said):
        path = tmp_path / "bad.yaml"
        path.write_text(self.DOCUMENT.replace(before, after, 1))
        done = pgduet(command, "--config", path, "--region", "a", check=False)
        assert done.returncode == 2
        assert "[invalid_config]" in done.stderr and done.stdout == ""
        for text in said:
            assert text in done.stderr
        assert "sesame" not in done.stderr

    def test_a_property_that_correctness_depends_on_is_refused(self, tmp_path):
        path = tmp_path / "bad.yaml"
        path.write_text(self.DOCUMENT + "kafka: {properties: {acks: '1'}}\n")
        done = pgduet("check", "--config", path, "--region", "a", check=False)
        assert done.returncode == 2
        assert "bad.yaml:10: kafka.properties.acks" in done.stderr and "[invalid_config]" in done.stderr

    @pytest.mark.parametrize("arguments, error", [(["--region", "elsewhere"], "unknown_region"), ([], "unknown_region")])
    def test_a_missing_or_unknown_region_is_refused(self, tmp_path, arguments, error):
        path = tmp_path / "good.yaml"
        path.write_text(self.DOCUMENT)
        done = pgduet("check", "--config", path, *arguments, check=False)
        assert done.returncode == 2
        assert f"[{error}]" in done.stderr and "a b" in done.stderr and "--region" in done.stderr

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path):
        done = pgduet("check", "--config", tmp_path / "none.yaml", "--region", "a", check=False)
        assert done.returncode == 2
        assert "none.yaml" in done.stderr and "[config_unreadable]" in done.stderr

    def test_no_file_and_no_command_are_usage_errors(self):
        done = pgduet("check", "--region", "a", check=False)
        assert done.returncode == 2 and "PGDUET_CONFIG" in done.stderr
        assert pgduet(check=False).returncode == 2
        assert pgduet("chekc", check=False).returncode == 2

    def test_an_unreachable_database_is_named(self, tmp_path):
        path = tmp_path / "good.yaml"
        path.write_text(self.DOCUMENT)
        for command in ("check", "init", "status", "lag"):
            done = pgduet(command, "--config", path, "--region", "a", check=False)
            assert done.returncode == 1
            assert "[database_unavailable]" in done.stdout + done.stderr, command
