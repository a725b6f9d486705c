from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from costlab.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def answer(*arguments: str) -> object:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", main.commands)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"costlab {command}" in README


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in main.commands.items():
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, sub) for sub in command.commands]
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.exit_code == 0
    assert len(done.stdout) > 80


def test_a_quote_in_json_has_its_documented_keys() -> None:
    clip = ("--seconds", "5", "--resolution", "720p", "--audio")
    found = answer("quote", "--model", "veo-3.1", *clip, "--as-of", "2026-11-22")
    assert isinstance(found, dict)
    assert found["usd"] == "2.400000"
    assert found["billed_seconds"] == 6
    assert {"sku", "lines", "steps", "payload", "stale"} <= found.keys()


def test_ranking_lists_who_can_and_who_cannot() -> None:
    found = answer("quote", "--all", "--seconds", "5", "--as-of", "2026-11-22")
    assert isinstance(found, dict)
    prices = [float(row["usd"]) for row in found["served"]]
    assert prices == sorted(prices)
    assert all(row["reason"] for row in found["refused"])


def test_predictions_come_back_in_the_order_of_the_file(tmp_path: Path) -> None:
    questions = tmp_path / "q.csv"
    questions.write_text(
        "model,gpu,num_gpus,height,width,frames,steps,cfg,precision\n"
        "wan2.2-t2v-a14b,H100-SXM,1,480,832,81,40,true,bf16\n"
        "wan2.2-t2v-a14b,H1000,1,480,832,81,40,true,bf16\n"
        "wan2.2-ti2v-5b,RTX-4090,1,704,1280,121,50,true,bf16\n"
    )
    found = answer("predict", "--from", str(questions))
    assert isinstance(found, list)
    assert [row["seconds"] is None for row in found] == [False, True, False]
    assert "H1000" in found[1]["error"]
    keys = {"seconds", "gpu_seconds", "seconds_low", "seconds_high"}
    for row in found:
        assert keys | {"peak_vram_gib", "energy_j", "basis"} <= row.keys()
    assert found[0]["seconds_low"] < found[0]["seconds"] < found[0]["seconds_high"]


def test_fewer_steps_take_less_time() -> None:
    found = answer(
        "predict", "--model", "wan2.2-t2v-a14b", "--gpu", "H100-SXM", "--what-if", "steps"
    )
    assert isinstance(found, list)
    seconds = [row["seconds"] for row in found]
    assert seconds == sorted(seconds)


def test_a_projection_in_json_says_what_the_library_says() -> None:
    from costlab import projection, scenarios

    found = answer("project", "brand-studio")
    assert found == json.loads(
        json.dumps(projection.project(scenarios.scenario("brand-studio")).to_dict())
    )


def test_a_scenario_can_be_a_file(tmp_path: Path) -> None:
    from costlab import store

    text = (store.data_dir() / "scenarios" / "dev-and-test.yaml").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("id: dev-and-test", "id: mine"))
    found = answer("project", str(mine))
    assert isinstance(found, dict)
    assert found["scenario"]["id"] == "mine"


def test_waiting_has_both_sides() -> None:
    load = ("--rate-per-h", "9.72", "--service-s", "1000", "--servers", "3", "--scv", "1")
    found = answer("capacity", "wait", *load)
    assert isinstance(found, dict)
    # M/M/3 at λ 2.7, μ 1: Erlang C.
    assert found["formula"]["p_wait"] == pytest.approx(0.8170610211706104)
    assert found["formula"]["mean_wait_s"] == pytest.approx(2723.53673823537)
    for name in ("utilisation", "p_wait", "mean_wait_s", "p95_wait_s"):
        assert name in found["simulation"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("quote", "--model", "veo-9", "--seconds", "5"), "unknown model 'veo-9'"),
        (("quote", "--model", "veo-3.1", "--seconds", "-5"), "seconds must be greater than 0"),
        (("quote", "--model", "sora-2", "--seconds", "8", "--as-of", "2026-11-22"), "2026-09-24"),
        (("predict", "--model", "wan2.2-t2v-a14b", "--gpu", "H1000"), "unknown GPU 'H1000'"),
        (("predict", "--from", "nowhere.csv"), "no such file"),
        (("project", "nowhere"), "unknown scenario 'nowhere'"),
        (("project", "social-app", "--proof", "summary/usd"), "unknown figure"),
        (("capacity", "wait", "--rate-per-h", "100", "--service-s", "100", "--servers", "2"), "3"),
        (("bench", "--model", "wan2.2-t2v-a14b", "--recipe", "nope"), "unknown recipe 'nope'"),
        (("bench", "suite", "--plan", "nowhere.yaml"), "no such plan file"),
        (("bench", "--model", "wan2.2-ti2v-5b", "suite"), "bench suite takes no --model"),
        (("bench", "--json", "devices"), "bench devices takes no --json"),
        (("project", "--policy", "article"), "project without a scenario takes no --policy"),
        (("quote", "--all", "--seconds", "5", "--provider", "fal"), "--all takes no --provider"),
        (("predict", "--from", "README.md", "--steps", "4"), "--from takes no --steps"),
    ],
)
def test_bad_input_gets_one_message_and_exit_code_2(
    arguments: tuple[str, ...], message: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_malformed_file_names_file_row_and_field(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("id: x\ntitle: X\ndate: yesterday\nmix: social-app\npolice: article\n")
    done = run("project", str(wrong))
    assert done.exit_code == 2
    for part in ("wrong.yaml: 3 problems", "[1].date:", "[1].policy: Field required",
                 "[1].police: unknown field"):  # fmt: skip
        assert part in done.stderr


def test_the_store_answers_sql(own_store: Path) -> None:
    assert answer("store", "build")
    done = run("store", "query", "SELECT count(*) AS n FROM prices")
    assert json.loads(done.stdout)[0]["n"] > 300


def test_each_rate_of_a_base_and_rate_price_takes_a_contract_price(own_store: Path) -> None:
    clip = ("quote", "--model", "vidu-q2", "--seconds", "5", "--as-of", "2026-11-22")
    entry = ("--sku", "comfy/viduq2/720p", "--from", "2026-11-01", "--who", "Ada", "--why", "deal")
    refused = run("prices", "override", "base", *entry, "--usd", "0.05")
    assert refused.exit_code == 2
    assert "say which the price is for" in refused.stderr
    assert answer(*clip)["usd"] == "0.175000"  # type: ignore[call-overload]  # 0.075 + 4 × 0.025
    for name, unit, usd in (("base", "first_second", "0.05"), ("rest", "further_second", "0.02")):
        done = run("prices", "override", name, *entry, "--unit", unit, "--usd", usd)
        assert done.exit_code == 0, done.stderr
    found = answer(*clip)
    assert isinstance(found, dict)
    assert (found["usd"], found["list_usd"]) == ("0.130000", "0.175000")  # 0.05 + 4 × 0.02


def test_the_audit_list_tells_what_was_granted_for_what_and_when(own_store: Path) -> None:
    by = ("--who", "Ada", "--why", "framework")
    window = ("--from", "2026-11-01", "--to", "2027-10-31")
    run("prices", "override", "all", "--provider", "alibaba", "--discount", "0.125", *window, *by)
    run("prices", "override", "all", "--remove", "--who", "Bo", "--why", "ended")
    shown = run("prices", "audit").stdout
    assert "12.5% off" in shown
    assert "alibaba" in shown
    assert "from 2026-11-01 to 2027-10-31" in shown
    entered, removed = answer("prices", "audit")  # type: ignore[misc]
    assert entered["override"]["discount"] == "0.125"
    assert (entered["override"]["provider"], entered["override"]["usd"]) == ("alibaba", None)
    assert (entered["override"]["valid_from"], entered["override"]["valid_to"]) == (
        "2026-11-01", "2027-10-31",
    )  # fmt: skip
    assert (removed["action"], removed["override"]) == ("removed", None)


def test_other_rates_are_written_as_money() -> None:
    shown = run("quote", "--model", "veo-3.1", "--seconds", "5", "--as-of", "2026-11-22").stdout
    others = next(line for line in shown.splitlines() if "other rates" in line)
    assert "$2.40," in others
    assert all("." in word and len(word.split(".")[-1].rstrip(",")) >= 2
               for word in others.split() if word.startswith("$"))  # fmt: skip
