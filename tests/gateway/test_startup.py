"""What is said when a gateway starts: what it is made of, or what is wrong with its file."""

from __future__ import annotations

import socket
import sys

import pytest

from forethought.errors import ConfigError
from forethought.gateway.config import GatewayConfig, read_config
from forethought.gateway.ledger import LedgerLost
from forethought.gateway.ledger.database import Database
from forethought.gateway.startup import NoAdminKey, described, report
from forethought.targets.pool import PoolEntry

TARGET = '[[target]]\nname = "large"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'


def misread(tmp_path, text: str) -> str:
    """What is said of a gateway file that cannot be read, without the file's name."""
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_config(file)
    assert told.value.__cause__ is None  # or the command line would say what pydantic says beside it
    start = f"{file}: "
    assert str(told.value).startswith(start)
    return str(told.value).removeprefix(start)


TARGET_KEYS, FILE_KEYS = ", ".join(PoolEntry.model_fields), ", ".join(GatewayConfig.model_fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one [[target]] is needed"),
        ("target = []", "at least one [[target]] is needed"),
        ('[target]\nname = "x"', "write [[target]] above each target"),
        (
            TARGET + 'featurs = ["tools"]',
            f"target 'large': unknown key 'featurs', did you mean 'features'? allowed are {TARGET_KEYS}",
        ),
        (
            TARGET + 'features = ["tool"]',
            (
                "target 'large': features: 'tool' is not allowed, did you mean 'tools'? "
                "allowed are 'tools', 'json', 'images', 'logprobs' or 'n'"
            ),
        ),
        (
            TARGET + "policy = { vote = 5 }",
            (
                "target 'large': policy: unknown key 'vote', did you mean 'votes'? allowed are prompt, shots, system, "
                "temperature, top_p, max_tokens, votes, effort"
            ),
        ),
        (
            TARGET + "prices = { input = -1, output = 2 }",
            "target 'large': prices.input: Input should be greater than or equal to 0, got -1",
        ),
        (TARGET + "prices = { input = 1 }", "target 'large': prices: 'output' is missing"),
        (
            TARGET + "policy = { temperature = -1 }",
            "target 'large': policy: temperature must be >= 0, got -1.0",
        ),
        (TARGET.replace('model = "m"\n', ""), "target 'large': 'model' is missing"),
        (TARGET + '[[target]]\nmodel = "m"', "target number 2: 'name' is missing"),
        (f'rooter = "x"\n{TARGET}', f"unknown key 'rooter', did you mean 'router'? allowed are {FILE_KEYS}"),
        (f"zzz = 1\n{TARGET}", f"unknown key 'zzz'; allowed are {FILE_KEYS}"),
        (
            TARGET + "[timeouts]\nfirst_tokn = 3",
            (
                "timeouts: unknown key 'first_tokn', did you mean 'first_token'? "
                "allowed are connect, first_token, stall, total"
            ),
        ),
        (
            TARGET + '[policies]\ncareful = { rule = "tolerance", settings = { tau = 0.1 } }',
            "policies.careful: unknown key 'settings', did you mean 'setting'? allowed are rule, setting",
        ),
        (TARGET + "[retries]\nattempts = 0", "retries.attempts: Input should be greater than or equal to 1, got 0"),
        (
            TARGET + "dear = 3\ncontext = 0",
            (
                "target 'large': context: Input should be greater than or equal to 1, got 0; "
                "target 'large': dear: Input should be a valid boolean, unable to interpret input, got 3"
            ),
        ),
        (TARGET.replace("large", "forethought"), "target 'forethought': names under 'forethought' are the router's"),
    ],
)
def test_a_mistake_in_a_file_is_told_by_the_names_that_its_author_gave(tmp_path, text, said):
    assert misread(tmp_path, text) == said


def test_the_value_of_an_unknown_key_is_not_shown_for_it_may_be_a_secret(tmp_path):
    said = misread(tmp_path, TARGET + 'api_key = "sk-secret"')
    assert "did you mean 'api_key_env'?" in said
    assert "sk-secret" not in said


def test_what_is_no_file_of_text_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config(tmp_path)
    file = tmp_path / "gateway.toml"
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(file)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ledger.sqlite", "ledger must be a URL such as sqlite:///ledger.sqlite, got 'ledger.sqlite'"),
        (
            "postgresql//u:se:cr@et@host/name",
            "ledger must be a URL such as sqlite:///ledger.sqlite, got 'postgresql//***@host/name'",
        ),
        ("u:secret@host", "ledger must be a URL such as sqlite:///ledger.sqlite, got '***@host'"),
        ("host=h password=secret", "ledger must be a URL such as sqlite:///ledger.sqlite, got 'host=h password=***'"),
        (
            "postgres://u:secret@host/name",
            "ledger must be sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME, got 'postgres://***@host/name'",
        ),
        (
            "mysql://host/name?user=u&password=secret&ssl=1",
            (
                "ledger must be sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME, "
                "got 'mysql://host/name?user=u&password=***&ssl=1'"
            ),
        ),
        (
            "sqlite://",
            "ledger must name a file, such as sqlite:///ledger.sqlite, got 'sqlite://': it must outlive the process",
        ),
    ],
)
def test_what_is_no_ledger_is_shown_without_its_password(url, said):
    with pytest.raises(ConfigError) as told:
        Database(url)
    assert str(told.value) == said


def test_a_missing_driver_is_told_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        ConfigError, match=r"a ledger in PostgreSQL needs psycopg: pip install 'forethought\[postgres\]'"
    ):
        Database("postgresql://u:secret@host/name")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@host/name", "the ledger name at host:5432"),
        ("postgresql+psycopg://u:secret@host:6000/name", "the ledger name at host:6000"),
        ("postgresql://u@/name?host=/run/postgresql&port=5433", "the ledger name at /run/postgresql:5433"),
        ("postgresql:///name", "the ledger name at localhost:5432"),
    ],
)
def test_a_server_is_named_by_host_and_port(url, shown):
    assert str(Database(url)) == shown


def test_a_file_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(Database("sqlite:///ledger.sqlite")) == f"the ledger {tmp_path}/ledger.sqlite"


def test_a_server_that_refuses_is_named(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(LedgerLost, match=f"^no connection to the ledger name at 127.0.0.1:{port}: "):
            Database(f"postgresql://u:secret@127.0.0.1:{port}/name").connect()


def said_by(gate) -> list[str]:
    """What a gateway reports, line by line."""
    return gate.do(report(gate.services, ("127.0.0.1", gate.port)))


def test_targets_are_told_with_where_they_are_and_what_they_can_do(gateway, provider, target, ledger_file, monkeypatch):
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(ledger_file.parent))  # where no weights are
    host = provider.url.split("/")[2]
    gate = gateway(
        target=[
            target("large", provider, "m-1", features=["tools", "logprobs"], dear=True),
            target("plain", provider, features=[], prices=None),
            target("voter", provider, vote={"rule": "ahead_by", "setting": {"lead": 2, "cap": 5}}),
            target("five", provider, policy={"temperature": 0.7, "votes": 5}),
            {"name": "small", "model": "smollm2-135m-instruct", "prices": {"input": 0.1, "output": 0.1}},
            {"name": "gemma", "model": "gemma-3-270m", "prices": {"input": 0.1, "output": 0.1}},
        ]
    )
    assert said_by(gate) == [
        f"forethought serves {gate.url} (models: {gate.url}/models, OpenAPI: {gate.url[:-3]}/openapi.json)",
        f"  target    large: m-1 at {host}, priced, features tools logprobs, dear",
        f"  target    plain: ok at {host}, no prices: budgets do not count it, no features",
        f"  target    voter: ok at {host}, priced, votes (ahead_by) when routed",
        f"  target    five: ok at {host}, priced, votes (majority of 5) when routed",
        (
            "  target    small: smollm2-135m-instruct on this machine, priced, "
            "not installed: forethought models fetch smollm2-135m-instruct"
        ),
        (
            "  target    gemma: gemma-3-270m on this machine, priced, "
            "not installed: forethought models fetch gemma-3-270m --accept gemma-terms"
        ),
        "  router    none: every target is asked for by its name",
        f"  ledger    {ledger_file}",
        "  keys      none: loopback only, no key asked for",
    ]


def test_the_router_is_told_with_what_it_and_the_file_do_not_know_of_each_other(
    gateway, provider, target, router_folder
):
    entries = [target("north", provider), target("south", provider, prices=None), target("stranger", provider)]
    careful = {"careful": {"rule": "tolerance", "setting": {"tau": 0.02}}}
    gate = gateway(target=entries, router=router_folder, policies=careful)
    artifact = gate.services.host.current.artifact
    said = said_by(gate)
    assert [line.endswith(", asked by name only") for line in said[1:4]] == [False, True, True]
    assert said[4:6] == [
        f"  router    {router_folder} ({artifact[:12]}); the file lacks its targets middling, dear, hopeless",
        (
            "  policies  forethought/careful, forethought/argmax, forethought/cascade:<threshold>, "
            "forethought/tolerance:<tau>, forethought/value:<usd_per_success>, e.g. forethought/tolerance:0.05"
        ),
    ]


def test_a_router_none_of_whose_targets_is_in_the_file_is_refused(gateway, provider, target, router_folder):
    said = (
        "the router knows none of the file's targets: "
        "it was fitted on north, south, middling, dear, hopeless, the file has one, two"
    )
    with pytest.raises(ConfigError, match=said):
        gateway(target=[target("one", provider), target("two", provider)], router=router_folder)


def test_live_keys_are_counted(gateway, provider, target):
    gate = gateway(target=[target("plain", provider)])
    for scope in ("client", "client", "admin"):
        gone = gate.new_key(scope=scope).split("-")[1]
    gate.do(gate.services.ledger.revoke_key(gone))
    assert said_by(gate)[-1] == "  keys      2 live, none of them admin"
    gate.new_key(scope="admin")
    assert said_by(gate)[-1] == "  keys      3 live, 1 of them admin"


def test_where_every_key_is_revoked_nobody_is_let_in_and_that_is_said(gateway, provider, target):
    gate = gateway(target=[target("plain", provider)])
    gate.do(gate.services.ledger.revoke_key(gate.new_key().split("-")[1]))
    assert said_by(gate)[-1] == "  keys      none that lives: nobody is let in"
    assert gate.ask("/models").status == 401


def test_beyond_loopback_without_an_admin_key_nothing_is_served(gateway, provider, target):
    with pytest.raises(NoAdminKey, match="no admin key exists"):
        gateway(loopback=False, target=[target("plain", provider)])


@pytest.mark.parametrize(
    ("entry", "warned"),
    [
        ({"features": ["tools"]}, True),
        ({"features": ["logprobs"]}, False),
        ({"features": [], "policy": {"temperature": 0.7, "votes": 3}}, False),
    ],
)
def test_a_cascade_that_no_target_can_tell_its_confidence_is_warned_of(gateway, provider, target, entry, warned):
    gate = gateway(target=[target("plain", provider, **entry)], cascade={"confidence": 0.6})
    warning = (
        "  warning   cascade.confidence is set, but no target has the feature logprobs or votes: "
        "only empty and cut answers are asked for again"
    )
    assert (warning in said_by(gate)) is warned


def test_the_password_of_the_ledger_and_credentials_of_a_base_url_are_not_told():
    config = GatewayConfig.model_validate(
        {
            "ledger": "postgresql://u:secret@host:6000/name",
            "target": [{"name": "t", "model": "m", "base_url": "https://user:hidden@api.example.com:8443/v1"}],
        }
    )
    said = "\n".join(described(config))
    assert "name at host:6000" in said
    assert "m at api.example.com:8443," in said
    assert "secret" not in said
    assert "hidden" not in said
