"""Look-ups and changes in the files around a project: package.json, pyproject.toml, .env, Dockerfile, compose, CI."""

from __future__ import annotations

import json
import random

from nimllm.agent.gym.projects import version
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display|get)"


@schema("manifest.package_json", "jq", weight=1.5)
def package_json(world: World, rng: random.Random) -> Draft:
    pool = ("react", "express", "lodash", "axios", "vue", "chalk", "dotenv", "jest", "eslint", "typescript",
            plain(world))
    parts = {name: f"^{version(rng)}" for name in rng.sample(pool, rng.randint(2, 4))}
    tools = {name: f"^{version(rng)}" for name in rng.sample([name for name in pool if name not in parts],
        rng.randint(1, 3))}
    tasks = {name: f"{plain(world)} --{plain(world)}" for name in rng.sample(("build", "test", "start", "lint", "dev",
        "deploy"), rng.randint(2, 4))}
    data = {"name": plain(world), "version": version(rng), "license": rng.choice(("MIT", "Apache-2.0", "ISC")),
            "main": f"{plain(world)}.js", "scripts": tasks, "dependencies": parts, "devDependencies": tools}
    path = rng.choice(("package.json", "package.json", f"{plain(world)}/package.json"))
    world.add_file(path, json.dumps(data, indent=2) + "\n")
    task, part = rng.choice(list(tasks)), rng.choice([name for name in parts if name.isalnum()])
    key = rng.choice(("name", "version", "license", "main"))
    query, ways, plan, ordered = rng.choice((
        (".scripts | keys[]", ("(which|what) scripts does {file} define?",
                               f"{SHOW} the (npm|) scripts (in|of) {{file}}, names only",
                               "names of the scripts in {file}",
                               "(which|what) npm scripts (are there|do we have) in {file}?",
                               "npm scripts in {file} (names only|, only the names)"), "list the scripts", False),
        (f".scripts.{task}", ("what does the {task} script (in|of) {file} (do|run|call)?",
                              "(which|what) command is the {task} script (in|of) {file}?",
                              "the {task} script (in|of|from) {file}",
                              f"{SHOW} the command behind npm run {{task}} (from|in) {{file}}",
                              "(look up|read|find) the script {task} in {file}"), f"look up the script {task}", True),
        (".dependencies | keys[]", ("(which|what) dependencies does {file} (have|list)? (names only|just the names)",
                                    f"{SHOW} the names of the dependencies (in|of) {{file}}",
            "(names of|) the (runtime|) dependencies in {file} (without versions|, no versions)",
                                    "what does {file} depend on? (names only|only the names)"),
                                    "list the dependencies", False),
        (".dependencies | length", ("how many (runtime|) dependencies (does {file} have|are in {file})?",
                                    "count the dependencies in {file} (not the dev ones|)",
                                    "number of dependencies in {file}"), "count the dependencies", True),
        (".devDependencies | keys[]", ("(which|what) dev dependencies does {file} have? (names only|just names)",
                                       f"{SHOW} the names of the (devDependencies|dev dependencies) in {{file}}",
                                       "(names of|) the dev dependencies in {file} (without versions|)"),
                                       "list the dev dependencies", False),
        (f".dependencies.{part}", ("(which|what) version of {part} does {file} (want|require|ask for|use)?",
                                   "version of {part} in {file}",
                                   "(which|what) {part} (do we use|is required) according to {file}?",
                                   f"{SHOW} the version of {{part}} (from|in) {{file}}"), f"look up {part}", True),
        (f".{key}", ("(what is|what's) the {key} in {file}?", f"{SHOW} the {{key}} (from|in) {{file}}",
                     "{key} in {file}?", "(which|what) {key} does {file} (have|give|say)?",
                     "(read|look up) the {key} field of {file}"), f"look up {key}", True)))
    quote = f"'{query}'" if " " in query else query
    return single(rng, ways,
                  f"jq -r {quote} {quoted(path)}" if "length" not in query else f"jq {quote} {quoted(path)}", plan,
                  True, "{output}" if ordered else None, ordered, file=path, task=task, part=part, key=key)


@schema("manifest.pyproject", "grep sed", weight=1.2)
def pyproject(world: World, rng: random.Random) -> Draft:
    path, new = "pyproject.toml", version(rng)
    lines = [f'requires-python = ">=3.{rng.randint(8, 13)}"', f'description = "{plain(world)} {plain(world)}"',
             'license = "MIT"']
    parts = rng.sample(("click", "rich", "numpy", "torch", "requests", "pydantic", "httpx"), rng.randint(1, 3))
    world.add_file(path, f'[project]\nname = "{plain(world)}"\nversion = "{version(rng)}"\n' + "\n".join(lines)
                   + "\ndependencies = [\n" + "".join(f'    "{part}>={version(rng)}",\n' for part in parts)
                   + f"]\n\n[tool.ruff]\nline-length = {rng.choice((79, 88, 100, 120))}\n")
    key, noun = rng.choice((("requires-python", "python version"), ("name", "project name"), ("version", "version"),
                            ("description", "description"), ("line-length", "line length")))
    which = rng.choice(("read", "read", "tables", "dependencies", "set"))
    if which == "read":
        return single(rng, (f"(which|what) {noun} does {{file}} give?", f"(what is|what's) the {noun} in {{file}}?",
                            f"{SHOW} the {noun} (from|in) {{file}}", f"{noun} in {{file}}?",
                            f"(read|look up) {key} in {{file}}", f"grep {key} (in|from) {{file}}",
                            f"{key} (according to|in) {{file}}"),
                      f"grep '^{key}' {path}", f"look up {key}", True, "{output}", ordered=True, file=path,
                      protected=(key,))
    if which == "tables":
        return single(rng, ("(which|what) (tables|sections) does {file} have?",
                            f"{SHOW} the (section|table) (names|headers) (of|in) {{file}}", "sections of {file}",
                            "the [table] lines of {file}", "(list|grep) the sections in {file}"),
                      f"grep '^\\[' {path}", "list the sections", True, ordered=True, file=path)
    if which == "dependencies":
        return single(rng, ("(which|what) dependencies does {file} list?",
                            f"{SHOW} the dependencies (block|list|) (of|in|from) {{file}}", "dependencies in {file}",
                            "the dependencies (block|part) of {file}", "what does the project depend on? see {file}",
                            "print the dependencies list from {file}"),
                      f"sed -n '/^dependencies/,/^]/p' {path}", "print the dependencies", True, ordered=True, file=path)
    return single(rng, ("(set|change|bump) the version in {file} to {new}", "{file}: version {new}",
                        "the version in {file} (should|must) be {new}", "(bump|raise) {file} to (version|) {new}",
                        "new version {new} in {file}", "make it version {new} in {file}"),
                  f"sed -i 's/^version = .*/version = \"{new}\"/' {path}", f"set the version to {new}", False,
                  f"Done: version {new}.", file=path, new=new)


def _environment(world: World, rng: random.Random) -> tuple[str, dict[str, str]]:
    path = rng.choice((".env", ".env", ".env.local", f"{plain(world)}.env", f"{plain(world)}/.env"))
    pool = ("DB_HOST", "DB_PORT", "DB_USER", "API_URL", "LOG_LEVEL", "DEBUG", "CACHE_TTL", "APP_NAME", "SMTP_HOST",
            "REGION", f"{plain(world).upper()}_DIR")
    values = {name: rng.choice((plain(world), str(rng.randint(1, 9999)), f"{plain(world)}.example.com",
                                f"/{plain(world)}/{plain(world)}")) for name in rng.sample(pool, rng.randint(3, 6))}
    rows = [f"{name}={value}" for name, value in values.items()]
    if rng.random() < 0.5:
        rows.insert(rng.randrange(len(rows)), rng.choice((f"# {plain(world)} {plain(world)}", "")))
    world.add_file(path, "\n".join(rows) + "\n")
    return path, values


@schema("manifest.env", "grep cut sed echo", weight=1.8)
def env(world: World, rng: random.Random) -> Draft:
    path, values = _environment(world, rng)
    name = rng.choice(list(values))
    new = rng.choice((plain(world), str(rng.randint(1, 9999))))
    which = rng.choice(("line", "value", "names", "set", "add", "remove", "comment"))
    if which == "line":
        return single(rng, ("(what is|what's) {name} in {file}?", "(which|what) {name} (is set|do we have) in {file}?",
                            f"{SHOW} the {{name}} line (of|from|in) {{file}}", "{name} in {file}?",
                            "grep {name} (in|from) {file}", "(look up|find) {name} in {file}",
                            "is {name} set in {file}? (show|print) the line"),
                      f"grep '^{name}=' {quoted(path)}", f"look up {name}", True, "{output}", ordered=True, name=name,
                      file=path)
    if which == "value":
        return single(rng, (f"{SHOW} (only|just) the value of {{name}} (in|from) {{file}}",
                            "value of {name} in {file}, (nothing else|without the name)",
                            "(only|just) the value of {name} from {file}",
                            "what value does {name} have in {file}? (only the value|just the value)",
                            "extract the value of {name} from {file}", "{file}: value of {name} (only|, no name)"),
                      f"grep '^{name}=' {quoted(path)} | cut -d= -f2-", f"read the value of {name}", True, "{output}",
                      ordered=True, name=name, file=path)
    if which == "names":
        return single(rng, ("(which|what) variables does {file} set?",
            f"{SHOW} the (names of the variables|variable names|keys) in {{file}} (, no values|without values|)",
            "(variable names|keys) in {file}",
            "names of the (environment|) variables in {file} (without their values|)", "only the keys of {file}",
            "(which|what) keys are in {file}?"),
                      f"grep '=' {quoted(path)} | cut -d= -f1", "list the names", True, ordered=True, file=path)
    if which == "set":
        return single(rng, ("set {name} to {new} in {file}", "(change|update) {name} in {file} to {new}",
                            "{file}: {name}={new}", "{name} in {file} (should|must) be {new}",
                            "in {file}, {name} (should|must) be {new}", "(make|let) {name} {new} in {file}",
                            "use {new} for {name} in {file}"),
                      f"sed -i 's/^{name}=.*/{name}={new}/' {quoted(path)}", f"set {name} to {new}", False,
                      f"Done: {name}={new}.", name=name, new=new, file=path)
    other = rng.choice(("FEATURE_X", "TIMEOUT", "SECRET_NAME", "WORKERS", f"{plain(world).upper()}_MODE"))
    if which == "add":
        return single(rng,
                      ("add {other}={new} to {file}",
                       "(append|add) (the variable|) {other} with (the value|value) {new} to {file}",
                       "{file} (needs|lacks) {other}={new}, (add|append) it",
                       "put {other}={new} (into|in|at the end of) {file}", "new variable {other}={new} in {file}",
                       "define {other} as {new} in {file}, it is not there yet"),
                      f"echo '{other}={new}' >> {quoted(path)}", f"append {other}", False,
                      f"Done: {path} has {other}={new}.", other=other, new=new, file=path)
    if which == "remove":
        return single(rng, ("(remove|delete|drop) {name} from {file}",
                            "{file} should not set {name} (any more|), (remove|delete) it",
                            "take {name} out of {file}", "(delete|remove) the {name} line (in|from) {file}",
                            "get rid of {name} in {file}", "unset {name} in {file} (by deleting its line|)"),
                      f"sed -i '/^{name}=/d' {quoted(path)}", f"delete {name}", False, f"Done: {name} is gone.",
                      name=name, file=path)
    return single(rng, ("comment out {name} in {file}", "(put|add) a # before {name} in {file}",
                        "disable {name} in {file} (with a #|by commenting it out)",
                        "{name} in {file} should be commented out", "{file}: comment out the {name} line",
                        "turn the {name} line of {file} into a comment"),
                  f"sed -i 's/^{name}=/#{name}=/' {quoted(path)}", f"comment out {name}", False,
                  f"Done: {name} is commented out.", name=name, file=path)


@schema("manifest.env_missing", "comm cut sort", weight=0.6)
def env_missing(world: World, rng: random.Random) -> Draft:
    pool = [f"{plain(world).upper()}_{part}" for part in ("HOST", "PORT", "USER", "KEY", "URL", "DIR")]
    if len(set(pool)) < 6:
        raise Unsuitable("one name twice")
    missing = rng.sample(pool, rng.randint(1, 3))
    world.add_file(".env.example", "".join(f"{name}=\n" for name in pool))
    world.add_file(".env", "".join(f"{name}={rng.randint(1, 99)}\n" for name in pool if name not in missing))
    return single(rng, ("(which|what) variables (of|in) {a} are missing (in|from) {b}?",
                        "variables that {a} has and {b} lacks",
                        f"{SHOW} the variable names (that are|) in {{a}} but not in {{b}}",
                        "(which|what) keys does {b} lack compared to {a}?",
                        "compare {a} with {b}: (which|what) names are missing in {b}?",
                        "is anything from {a} missing in {b}? (show|list) the names"),
                  "comm -23 <(cut -d= -f1 .env.example | sort) <(cut -d= -f1 .env | sort)", "compare the names", True,
                  a=".env.example", b=".env")


@schema("manifest.dockerfile", "grep sed", weight=1.5)
def dockerfile(world: World, rng: random.Random) -> Draft:
    image = rng.choice(("python", "node", "debian", "ubuntu", "alpine", "golang", "nginx"))
    tag, port = rng.choice(("3.12-slim", "20", "bookworm", "22.04", "3.19", "1.22", "1.25", "3.11")), rng.randint(1000,
        9999)
    path = rng.choice(("Dockerfile", "Dockerfile", "Dockerfile", f"{plain(world)}/Dockerfile", "docker/Dockerfile"))
    programs = ("pip install", "apt-get install -y", "npm install", "mkdir -p", "make")
    runs = [f"RUN {rng.choice(programs)} {plain(world)}" for _ in range(rng.randint(1, 3))]
    folder, command = f"/{rng.choice(('app', 'srv', 'opt', 'code'))}", f'CMD ["{plain(world)}", "--port", "{port}"]'
    names = [f"ENV {plain(world).upper()}={rng.randint(1, 99)}" for _ in range(rng.randint(1, 2))]
    world.add_file(path, "\n".join([f"FROM {image}:{tag}", f"WORKDIR {folder}", *names, "COPY . .", *runs,
                                    f"EXPOSE {port}", command]) + "\n")
    new = rng.choice(("3.13", "21", "trixie", "24.04", "3.20", "1.23", "latest"))
    keyword, ways, plan = rng.choice((
        ("FROM", ("(which|what) (base image|image) does {file} (use|build on|start from)?",
                  "base image (of|in) {file}", "(which|what) image is {file} based on?",
                  f"{SHOW} the FROM line of {{file}}", "what is the base image in {file}?"), "look up the base image"),
        ("EXPOSE", ("(which|what) (port|ports) does {file} expose?", "exposed port (of|in) {file}",
                    f"{SHOW} the EXPOSE line of {{file}}", "(which|what) port is exposed (by|in) {file}?"),
                    "look up the port"),
        ("CMD", ("(which|what) command does {file} (run|start)?", "(what is|what's) the CMD (in|of) {file}?",
                 f"{SHOW} the CMD (line|) of {{file}}",
                 "what does the container of {file} run at start? the CMD line"), "look up the command"),
        ("WORKDIR", ("(what is|what's) the (working directory|workdir|WORKDIR) (in|of) {file}?",
                     f"{SHOW} the WORKDIR (line|) (of|in) {{file}}",
                     "(which|what) working directory does {file} set?"), "look up the folder"),
        ("ENV", ("(which|what) (environment|env) variables does {file} set?", f"{SHOW} the ENV lines of {{file}}",
                 "ENV lines in {file}", "environment variables (set|) in {file}"), "list the variables"),
        ("RUN", ("(which|what) commands does {file} (run|execute) (while building|during the build)?",
                 f"{SHOW} the RUN (lines|steps|commands) of {{file}}", "RUN (lines|steps) in {file}"),
                 "list the commands")))
    which = rng.random()
    if which < 0.65:
        return single(rng, ways, f"grep '^{keyword}' {quoted(path)}", plan, True, ordered=True, file=path,
                      protected=(keyword,))
    if which < 0.75:
        return single(rng, ("how many RUN (lines|steps|instructions) (does {file} have|are in {file})?",
                            "count the RUN (lines|steps) in {file}", "number of RUN (instructions|lines) in {file}"),
                      f"grep -c '^RUN' {quoted(path)}", "count the RUN lines", True, "{output}", ordered=True,
                      file=path, protected=("RUN",))
    if which < 0.9:
        return single(rng, ("(change|set|switch) the base image (of|in) {file} to {image}",
                            "{file} should (build on|be based on|use) {image}", "use {image} as base image in {file}",
                            "{file}: FROM {image}", "(update|bump) the FROM line in {file} to {image}",
                            "base {file} on {image}"),
                      f"sed -i 's/^FROM .*/FROM {image}:{new}/' {quoted(path)}", "change the base image", False,
                      f"Done: FROM {image}:{new}.", file=path, image=f"{image}:{new}")
    other = rng.randint(1000, 9999)
    return single(rng, ("(change|set) the exposed port (of|in) {file} to {port}", "{file} (should|must) expose {port}",
                        "expose {port} (instead|) in {file}", "{file}: EXPOSE {port}",
                        "the port in the EXPOSE line of {file} (should|must) be {port}",
                        "(update|edit) {file}: expose port {port} (instead of what it has|)"),
                  f"sed -i 's/^EXPOSE .*/EXPOSE {other}/' {quoted(path)}", "change the port", False,
                  f"Done: EXPOSE {other}.", file=path, port=other)


@schema("manifest.compose", "grep sed", weight=1.2)
def compose(world: World, rng: random.Random) -> Draft:
    usual = ("web", "db", "cache", "worker", "proxy", "api", "queue")
    services = list(dict.fromkeys([*rng.sample(usual, rng.randint(2, 3)), plain(world)]))
    pool = ("postgres", "redis", "nginx", "rabbitmq", "python", plain(world))
    images = {name: f"{rng.choice(pool)}:{rng.randint(1, 20)}" for name in services}
    if len({image.split(':')[0] for image in images.values()}) < len(images):
        raise Unsuitable("one image twice")
    path = rng.choice(("docker-compose.yml", "compose.yaml", "docker-compose.yaml", "compose.yml"))
    world.add_file(path,
                   "services:\n" + "".join(
                       f"  {name}:\n    image: {images[name]}\n    ports:\n      - \"{rng.randint(1000, 9999)}:"
                       f"{rng.randint(10, 9999)}\"\n    restart: always\n" for name in services))
    name = rng.choice(services)
    image, new = images[name].split(":")[0], str(rng.randint(21, 40))
    command, ways, plan, asks, ordered = rng.choice((
        (f"grep -E '^  [a-z]+:' {path}", ("(which|what) services does {file} define?",
                                          f"{SHOW} the services (of|in) {{file}}", "services in {file}",
                                          "names of the services in {file}",
                                          "(which|what) services (are there|do we have) in {file}?"),
                                          "list the services", True, True),
        (f"grep 'image:' {path}", ("(which|what) images does {file} use?", f"{SHOW} the images (of|in|from) {{file}}",
                                   "images in {file}", "(all|the) image lines of {file}",
                                   "(which|what) container images are (used|named) in {file}?"), "list the images",
                                   True, True),
        (f"grep -A 4 '^  {name}:' {path}", ("(show|print) the service {name} (of|in) {file}",
            "how is the service {name} (defined|configured) in {file}? print its name and the 4 lines after it",
            "the service {name} in {file}: its line and the four after it",
            "(print|show) {name} (and the next 4 lines|with 4 lines after it) from {file}"),
            f"print the service {name}", True, True),
        (f"sed -i 's/image: {image}:.*/image: {image}:{new}/' {path}",
         ("(set|change|bump|update) {image} to (tag|version|) {new} in {file}", "{file} should use {image}:{new}",
          "use {image}:{new} in {file}", "the {image} image in {file} (should|must) have the tag {new}",
          "{file}: {image} {new}", "upgrade {image} in {file} to {new}"), f"set {image} to {new}", False, False)))
    return single(rng, ways, command, plan, asks, None if asks else f"Done: {image}:{new}.", ordered, file=path,
                  name=name, image=image, new=new)


@schema("manifest.ci", "grep sed", weight=1.2)
def ci(world: World, rng: random.Random) -> Draft:
    path = rng.choice((".github/workflows/ci.yml", ".github/workflows/test.yaml", ".github/workflows/build.yml",
                       ".gitlab-ci.yml"))
    python, system = f"3.{rng.randint(9, 13)}", rng.choice(("ubuntu-latest", "ubuntu-22.04", "macos-14",
        "windows-latest"))
    programs = ("pytest", "ruff check", "make", "npm test", "mypy", "tox")
    commands = [f"{rng.choice(programs)} {plain(world)}" for _ in range(rng.randint(2, 3))]
    steps = "".join(f"      - name: {plain(world).capitalize()}\n        run: {command}\n" for command in commands)
    world.add_file(path,
                   f"name: {plain(world)}\non: [push, pull_request]\njobs:\n  {plain(world)}:\n    runs-on: {system}\n"
                   f"    steps:\n      - uses: actions/checkout@v{rng.randint(2, 4)}\n"
                   f"      - uses: actions/setup-python@v{rng.randint(3, 5)}\n"
                   f"        with:\n          python-version: \"{python}\"\n{steps}")
    new = f"3.{rng.randint(9, 14)}"
    command, ways, plan, asks = rng.choice((
        (f"grep 'run:' {path}", ("(which|what) commands does {file} run?",
                                 f"{SHOW} the (commands|run lines) (in|of) {{file}}", "run lines of {file}",
                                 "what does the CI in {file} (run|execute)?", "commands in {file}"),
                                 "list the commands", True),
        (f"grep 'uses:' {path}", ("(which|what) actions does {file} use?",
                                  f"{SHOW} the actions (used in|of|in) {{file}}", "(the|all) uses lines of {file}",
                                  "actions in {file} with their versions"), "list the actions", True),
        (f"grep 'python-version' {path}", ("(which|what) python (version|) does {file} (use|test with|set up)?",
            "python version in {file}", "(which|what) python does the CI use? (see|look into) {file}",
            f"{SHOW} the python version (from|in) {{file}}"), "look up the version", True),
        (f"grep 'runs-on' {path}", ("(which|what) (runner|system|machine) does {file} (use|run on)?",
                                    "on (which|what) (system|runner) does {file} run?",
                                    f"{SHOW} the runs-on line of {{file}}", "runner in {file}?"), "look up the runner",
                                    True),
        (f"grep 'name:' {path}", ("(which|what) names occur in {file}?", f"{SHOW} the name lines (of|in) {{file}}",
                                  "(the|all) lines with name: in {file}", "names of workflow and steps in {file}"),
                                  "list the names", True),
        (f"sed -i 's/python-version: .*/python-version: \"{new}\"/' {path}",
         ("(set|change|bump|update) the python version in {file} to {new}", "{file} (should|must) use python {new}",
          "use python {new} in {file}", "the CI in {file} (should|must) (test|run) with python {new}",
          "python {new} in {file}, please (change|update) it", "{file}: python-version {new}"),
          f"set the version to {new}", False)))
    if not asks and new == python:
        raise Unsuitable("nothing changes")
    return single(rng, ways, command, plan, asks, None if asks else f"Done: python {new}.", asks, file=path, new=new)
