"""What the server is asked, in good faith and in bad: right answers, or refusals in words, and nothing else."""

import json
import re
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from threading import Thread

import pytest
from asking import HYPERBOLA, Site, site
from hostile_questions import DISGUISED, GOOD, questions, requests
from stated_optimizers import FIELDS

from symbolic_sgd.command.main import main
from symbolic_sgd.command.serve import examples
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.serve import limits
from symbolic_sgd.serve.answers import TASKS, Answers
from symbolic_sgd.serve.form import Fields
from symbolic_sgd.serve.page import live_files
from symbolic_sgd.serve.pool import Pool, Question
from symbolic_sgd.serve.server import Server

R = r'alttext="\frac{u^{2} + v^{2}}{4}"'
"""¼(u² + v²), by hand: ¼ tr ∇²L on uv = 1, where ∇²L = nnᵀ with n = (v, u)."""

ISOTROPIC = r'alttext="\frac{\ln{\left(u^{2} + v^{2} \right)}}{4}"'
"""¼ ln(u² + v²), by hand: ¼ ln |∇²L|₊ for noise of one size in every direction."""

BRIEF = 2.0
"""Seconds in which nothing that takes minutes is done, and the hyperbola is."""


@pytest.fixture(scope="module")
def narrow():
    """One worker, with little time, and room for one more question."""
    with site(workers=1, waiting=1, seconds=BRIEF) as found:
        yield found
        assert found.told == []


# --- what is asked in good faith -----------------------------------------------------------------------


def test_the_limit_of_the_hyperbola(page):
    reply = page.ask("derive", **HYPERBOLA)
    html = reply.answer["html"]
    assert reply.status == 200 and R in html and "<svg" in html
    assert not re.search(r"\sstyle=|<script|<style|\son\w+=", html)


def test_every_question_has_an_answer(page):
    for task in TASKS:
        reply = page.ask(task, **HYPERBOLA)
        assert reply.status == 200 and set(reply.answer) in ({"html"}, {"text"}), task
    assert "Every check passed" in page.ask("check", **HYPERBOLA).answer["html"]
    assert "void sde_drift(" in page.ask("c", **HYPERBOLA).answer["text"]
    assert page.ask("file", **HYPERBOLA).answer["text"].startswith('residuals = ["u*v - 1"]')


@pytest.mark.parametrize(("momentum", "bound"), [("1/2", "24"), ("9/10", "152")])
def test_an_optimizer_is_stated_by_its_keys(page, momentum, bound):
    """λ < 2(1 + β)/η on Γ: with η = ⅛ the heavy ball stays near it where u² + v² < 16(1 + β)."""
    values = {"momentum": momentum, "learning_rate": "1/8"}
    html = page.ask("derive", **HYPERBOLA, optimizer="heavy_ball", optimizer_values=values).answer["html"]
    assert f"{bound}" in html and "heavy ball" in html


QUICK = ("local_sgd", "preconditioned", "adam", "sam")
"""Optimizers of every sort; the others are in the campaign."""


@pytest.mark.parametrize("kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.campaign) for k in OPTIMIZERS])
def test_every_optimizer_has_a_page(page, kind):
    """Was: no MathML for the group inverse, for Local SGD's mean, for averages E."""
    html = page.ask("derive", **FIELDS[kind]).answer["html"]
    assert "dY" in html and "<math" in html


def test_a_perturbed_loss_has_a_page(page):
    stated = {"statement": "perturbed_loss", "formula": "((u + a)*v - 1)**2/2", "parameters": "u, v"}
    further = 'perturbations = ["a"]'
    reply = page.ask("derive", **stated, further=further, optimizer="sgd", optimizer_values={"learning_rate": "1/8"})
    assert reply.status == 200, reply.body[:300]


def test_what_is_refused_is_said_as_on_the_command_line(page, tmp_path, capsys):
    fields = HYPERBOLA | {"formula": "u*v - foo"}
    file = tmp_path / "problem"
    file.write_text(page.ask("file", **fields).answer["text"], encoding="utf-8")
    assert main(["derive", str(file)]) == 2
    said = capsys.readouterr().err.removeprefix("symbolic-sgd: ").strip().replace(str(file), "problem")
    assert page.ask("derive", **fields).answer == {"refusal": said}


def test_its_files_are_kept_from_others(page):
    reply = page.get("/")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/html")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "script-src" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["cache-control"] == "no-store"
    assert b"<script src=" in reply.body and b"style=" not in reply.body and b" on" + b"click" not in reply.body
    for path in ("/page.js", "/page.css", "/examples.json"):
        assert page.get(path).status == 200
    head = page.get("/page.js", method="HEAD")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 1000
    assert page.get("/", Host=f"localhost:{page.port}").status == 200
    assert page.get("/?from=somewhere", Origin=f"http://127.0.0.1:{page.port}").status == 200


# --- in bad faith ----------------------------------------------------------------------------------------


def check_refused(page, hostile):
    reply = page.post(f"/api/{hostile.task}", hostile.body)
    assert reply.status in hostile.allowed, (hostile.name, reply.status, reply.body[:300])
    if reply.status == 200:
        assert ISOTROPIC in reply.answer["html"], hostile.name
        return
    words = reply.answer["refusal"]
    assert words and len(words) < 1500 and "Traceback" not in words, hostile.name
    assert "seconds that the page has" not in words, hostile.name
    assert page.told == [], hostile.name


def check_right(page):
    assert R in page.ask("derive", **HYPERBOLA).answer["html"]


def test_hostile_questions_are_refused_in_words(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = questions()
    assert len(asked) > 400
    for hostile in asked:
        check_refused(page, hostile)
    check_right(page)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", DISGUISED)
def test_a_loss_in_disguise_has_the_same_limit(page, name):
    reply = page.ask("derive", **GOOD | {"formula": DISGUISED[name]})
    assert reply.status == 200 and ISOTROPIC in reply.answer["html"], reply.body[:300]


def test_what_is_no_question_is_refused(page):
    for name, (sent, allowed) in requests(page.port).items():
        reply = page.raw(sent, close=True)
        assert reply.status in allowed, (name, reply.status, reply.body[:200])
        assert reply.answer["refusal"] and reply.headers["x-content-type-options"] == "nosniff", name
    assert page.told == []
    check_right(page)


# --- limits ------------------------------------------------------------------------------------------------

SLOW = {
    "statement": "loss",
    "formula": "(" + " + ".join(f"({a} + 1)**3" for a in "uvwxyz") + ")**6 - 1",
    "parameters": "u, v, w, x, y, z",
    "noise": "isotropic",
}
"""Minutes."""

PATIENCE = 1.0
"""Half of the seconds after which somebody goes."""


def test_what_takes_too_long_is_ended_and_said(narrow):
    reply = narrow.ask("derive", **SLOW)
    assert reply.status == 422 and reply.answer == {"refusal": limits.too_slow("derive", BRIEF)}
    assert "symbolic-sgd derive problem.toml" in reply.answer["refusal"]
    check_right(narrow)


def test_a_full_queue_is_said_and_whoever_goes_makes_room(narrow):
    check_right(narrow)
    gone = [Thread(target=_gives_up, args=(narrow,)) for _ in range(2)]
    for thread in gone:
        thread.start()
    _wait(lambda: narrow.server.pool.asked == 2)
    reply = narrow.ask("derive", **HYPERBOLA)
    assert reply.status == 503 and reply.answer == {"refusal": limits.BUSY}
    for thread in gone:
        thread.join()
    _wait(lambda: narrow.server.pool.asked == 0)
    check_right(narrow)


def _wait(condition):
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)


def _gives_up(page):
    """Ask, and close the connection."""
    body = json.dumps(SLOW).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    with socket.create_connection(("127.0.0.1", page.port)) as connection:
        connection.sendall(page.request("POST", "/api/derive", body, headers))
        time.sleep(2 * PATIENCE)


def test_answers_that_are_asked_together_are_right(page):
    check_together(page, 6)


def check_together(page, count):
    """Each asks for another residual k(uv − k), k odd, for which R = k²(u² + v²)/4: so many are answered, and all of them rightly."""
    found = {}

    def ask(k):
        found[k] = page.ask("derive", **HYPERBOLA | {"formula": f"{k}*(u*v - {k})"})

    threads = [Thread(target=ask, args=(2 * k + 3,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == count and {reply.status for reply in found.values()} <= {200, 503}
    right = {k: reply.answer["html"] for k, reply in found.items() if reply.status == 200}
    for k, html in right.items():
        assert rf'alttext="\frac{{{k**2} \left(u^{{2}} + v^{{2}}\right)}}{{4}}"' in html, k
    return len(right)


@pytest.mark.campaign
@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
def test_fifty_that_ask_together():
    """As many are answered as may wait; a worker does not grow; and none is left."""
    with site() as crowded:
        check_right(crowded)
        for _ in range(3):
            assert check_together(crowded, 50) >= limits.WORKERS + limits.WAITING
        workers = crowded.workers
        largest = max(int(_status(worker)["VmHWM"].split()[0]) for worker in workers)
        print(f"\nlargest worker: {largest / 1024:.0f} MiB")
        assert len(workers) == limits.WORKERS and largest < 400 * 1024
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def _status(process):
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_more_connections_than_may_be_open(page):
    """The next one is told so at once; those that say nothing are closed, or go."""
    room = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(limits.CONNECTIONS)]
    try:
        _wait(lambda: page.server._room._value == 0)
        reply = page.raw(b"")
        assert reply.status == 503 and reply.answer == {"refusal": limits.BUSY}
        assert reply.headers["x-content-type-options"] == "nosniff"
    finally:
        for connection in room:
            connection.close()
    _wait(lambda: page.server._room._value == limits.CONNECTIONS)
    check_right(page)


def test_a_fault_is_told_in_the_terminal_and_not_on_the_page():
    class Faulty:
        def ask(self, *_):
            return {"fault": "Traceback: secret"}

    told = []
    with Server(0, live_files([]), Faulty(), told.append) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        reply = Site(server, told).ask("derive", **HYPERBOLA)
        server.shutdown()
        thread.join()
    assert (
        reply.status == 500
        and "secret" not in reply.body.decode()
        and "fault of symbolic-sgd" in reply.answer["refusal"]
    )
    assert told == ["Traceback: secret"]


def test_questions_that_wait_when_it_ends_are_answered():
    pool = Pool(workers=1, seconds=60)
    found = []
    threads = [Thread(target=lambda: found.append(pool.ask(Question("derive", SLOW)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    _wait(lambda: pool.asked == 3)
    pool.close()
    for thread in threads:
        thread.join()
    assert found == [{"refusal": limits.ENDING}] * 3
    assert pool.ask(Question("derive", HYPERBOLA)) == {"refusal": limits.ENDING}


def test_workers_are_held_to_their_memory(tmp_path):
    script = (
        "from symbolic_sgd.serve.worker import limit_memory\n"
        "from symbolic_sgd.serve import answers\n"
        "answers.TASKS['derive'] = lambda *_: bytearray(3 << 30)\n"
        "limit_memory(2 << 30)\n"
        "print(answers.Answers().answer('derive', {})['refusal'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == limits.too_large("derive")


# --- the examples -----------------------------------------------------------------------------------------


@pytest.mark.campaign
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_every_example_has_every_answer(page, example):
    for task in TASKS:
        reply = page.ask(task, **asdict(example.fields))
        assert reply.status == 200, (task, reply.body[:300])
        assert task != "check" or "Every check passed" in reply.answer["html"]


def test_an_answer_without_a_server_is_the_same(page):
    assert page.ask("latex", **HYPERBOLA).answer == Answers().answer("latex", HYPERBOLA)
    assert Fields(**HYPERBOLA).optimizer == "sgd"
