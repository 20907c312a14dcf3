# ruff: noqa: E501 (a command is one line)
"""What string-matching agents annoyed people with: what only reads must not ask, however it is chained (a question too
many is a question nobody reads), nor what only works; and a real bash says whether it only reads. ``\\n`` in a line
with a here-document or a comment is a newline.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from test_policy_evasion import EVASIONS, real

from nimllm.tools.policy import MODES, judge, spelled, unreadable

EVERYDAY = r"""
ls
ls -lah --color=never src tests
pwd && ls -la
cat README.md | head -50
head -n 20 a.txt; tail -n 5 a.txt
tail -n +5 f | head -3
wc -l *.py
wc -l < README.md
wc -l $(git ls-files '*.py') | tail -1
grep -rn "TODO" --include='*.py' . | wc -l
grep -c . f
grep -rlE 'foo|bar' src | sort -u
grep -v '^#' f | grep -v '^$'
find . -type f | wc -l
find . -name '*.py' -not -path './.git/*' -mtime -7
find . -type f -size +1M -printf '%s %p\n' | sort -rn | head
find . -type f -name '*.md' -print0 | xargs -0 wc -w
find . -maxdepth 1 -type d | sort
find src -type f | sed 's/.*\.//' | sort | uniq -c | sort -rn
du -sh .[!.]* * 2>/dev/null | sort -h | tail -5
df -h . && free -m
stat -c '%n %s' *.txt
md5sum a.txt b.txt
sha256sum a | cut -d' ' -f1
diff -u a b || true
cmp a b && echo same || echo differ
comm -12 <(sort a) <(sort b)
sort -t: -k3 -n /etc/passwd | awk -F: '{print $1}'
awk 'NR==1{print $1}' f
awk -F, 'NR>1 {s+=$2} END {print s}' data.csv
awk 'length > 80' f
awk '$3 > 10 {print $1}' f
awk '{ if ($1 > 5) print $2 }' f
awk -F: '$3 >= 1000 {print $1}' /etc/passwd
awk '!seen[$0]++' f
sed -n '10,20p' f
sed -n '/start/,/end/p' f | head
sed 's/foo/bar/g' f
sed 's#/usr#/opt#' f
sed -e 's/a/b/' -e 's/c/d/' f
sed '/^$/d' f
sed -n '$p' f
sed 's/[^,]*,//' f
sed '1d' f
sed 's/^[ \t]*//' f
sed -nE 's/^def ([a-z_]+).*/\1/p' f.py
tr -s ' ' < f | cut -d' ' -f2
tr '[:upper:]' '[:lower:]' < f | tr -cd 'a-z\n'
cut -c1-80 f
paste a b | column -t
nl -ba f | sed -n 5p
jq '.a.b[] | .name' f.json
jq -r 'keys[]' f.json | sort
jq -s 'length' f.json
for f in *.txt; do echo "$f: $(wc -l < "$f")"; done
for i in 1 2 3; do echo $i; done
for i in $(seq 3); do echo "$((i * 2))"; done
for ((i = 0; i < 3; i++)); do echo $i; done
i=0; while [ $i -lt 3 ]; do echo $i; i=$((i + 1)); done
while IFS= read -r line; do echo "$line"; done < f
while IFS=, read -r a b; do echo "$b"; done < data.csv
n=$(ls | wc -l); echo $((n + 1))
a=$(wc -l < a.txt); b=$(wc -l < b.txt); echo $((a - b))
total=0; for f in *.txt; do n=$(wc -l < "$f"); total=$((total + n)); done; echo $total
x=5; echo $((x % 2))
if [ -f a.txt ]; then cat a.txt; else echo none; fi
if [[ -d src ]]; then ls src; fi
[ $(wc -l < f) -gt 10 ] && echo long
[ "$a" = "$b" ] && echo yes
test -d .git && git status --short
git status && git diff --stat
git log --oneline --graph -20
git log -p -1
git log --author=me --since=2.weeks --format='%h %s'
git diff --name-only HEAD~3
git diff main...HEAD -- src
git show --stat HEAD
git blame -L 1,10 f
git branch --show-current
git branch -vv
git tag --sort=-creatordate | head -3
git remote -v
git stash list
git config --get user.name
git rev-parse --abbrev-ref HEAD
git ls-files | xargs wc -l | tail -1
git grep -n foo -- '*.py'
git shortlog -sn
git -C sub log -1
git --no-pager diff
env | grep -i path
env | sort | head
printenv HOME
echo $PATH | tr ':' '\n'
echo "$HOME" "$USER" $?
echo ${PATH//:/ }
f=a.tar.gz; echo "${f%%.*}" "${f##*.}" "${#f}" "${f:0:3}"
printf '%-10s %5d\n' a 3
printf '%s\n' *.py
date; date -u +%Y-%m-%dT%H:%M:%SZ; date -d yesterday +%F
date +%s
cal 2024
uname -a; hostname; whoami; id -un
ps aux | grep python | grep -v grep
ps -ef --sort=-%mem | head -5
uptime; nproc; lscpu | head
command -v python3 git make
which python3; type -a ls
python3 --version
git --version && node --version
bash --version | head -1
basename /a/b.txt .txt; dirname /a/b
realpath . && readlink -f a
seq 1 10 | paste -sd+
echo '1 + 2' | bc
tree -L 2
ls -t | head -1
ls -S | head -3 | cat -n
ls *.md | wc -l
ls -d */
ls -1 | rev | cut -d. -f1 | rev | sort | uniq -c
cat a.txt b.txt > /dev/null
cat f 2>&1 | tail -3
grep foo f > /dev/null 2>&1; echo $?
cat <<'EOF' | wc -l\na\nb\nEOF
od -c f | head -2
xxd f | head
hexdump -C f | head -3
strings bin | head
base64 f | head -c 20
expr 3 + 4
case "$x" in a*) echo a;; *) echo other;; esac
cd src && ls && cd ..
(cd src && wc -l *.py)
{ echo a; echo b; } | sort
ls | while read -r f; do echo "$f"; done
ls | xargs -I{} echo {}
ls | xargs -n1 basename
find . -name '*.py' -exec grep -l foo {} +
find . -name '*.txt' -exec wc -l {} \;
rg foo -t py -n
rg -c foo | sort -t: -k2 -n
fd -e py | head
time find . -name x
timeout 5 ls
nice ls
tar tzf a.tgz | head
tar -tf a.tar
unzip -l a.zip
zcat f.gz | head -3
gzip -dc f.gz | wc -l
shuf -n 3 f
man ls
tac f | head; rev f; fold -w 20 f
join a b; expand f; fmt f
test 3 -gt 2 && echo yes
history
alias
type cd
lsof -i :80
ss -tlnp
ip addr
du -a . | sort -n -r | head -n 10
echo "done" # comment
echo a; # comment\necho b
ls -l | awk '{print $5, $9}'
ls -l | awk '{s += $5} END {print s}'
ls -l --time-style=full-iso
cat f | sort | uniq -d
comm -3 a b
head -c 100 f | od -An -tx1
cat /proc/cpuinfo | grep -c processor
cat /etc/os-release
getent passwd root
locale; tty; stty -a
pip list; pip show x
""".strip("\n").split("\n")

# Work, and words about catastrophes: auto runs it unasked.
WORK = r"""
git commit -m "fix: rm -rf / is refused"
git commit -am 'do not run rm -rf ~ in CI'
git tag -a v1 -m 'rm -rf / fixed'
echo 'rm -rf /' > notes.md
cat > x.sh <<EOF\nrm -rf /\nEOF
grep -rn 'rm -rf /' . > found.txt
sed -i 's/rm -rf/rm -r/' f
sed -i 's|/usr/bin|/usr/local/bin|g' *.py
awk '/rm -rf/ {print > "x"}' f
python3 -c "print('rm -rf build')"
python3 script.py --note 'rm -rf build'
python3 - <<'EOF'\nimport json\nprint(json.dumps({"a": 1}), file=open("x", "w"))\nEOF
make clean
tar czf a.tgz --exclude='*.pyc' src
tar xzf a.tgz -C out
curl -o x https://example.org/a
docker run --rm alpine ls
find . -name '*.tmp' -exec rm {} +
find build -type f -delete
xargs -a list.txt rm -f
ls *.bak | xargs rm -f
rsync -a --delete src/ dst/
pip install -r requirements.txt
npm install && npm run build
cargo build --release
git rebase -i HEAD~3
git config user.name me
git remote add origin x
git submodule update --init
ssh-keygen -t ed25519 -f key -N ''
gcc -o x x.c -Wall
./configure --prefix=$PWD/out && make -j4 && make install
for f in *.txt; do mv "$f" "${f%.txt}.md"; done
while read -r f; do rm "$f"; done < list
rm -rf "$PWD/build"
rm -rf node_modules dist
cp -r src backup && rm -r old
mv src/* lib/
chmod -R u+rwX .
env FOO=1 make test
timeout 60 pytest -x
time make
nohup python3 server.py > log 2>&1 &
kill %1
trap 'rm -f "$tmp"' EXIT
tmp=$(mktemp) && sort f > "$tmp" && mv "$tmp" f
sqlite3 x.db 'create table t (a int)'
perl -pi -e 's/a/b/' f
awk '{print $1}' f > g
vim -es -c 'g/x/d' -c wq f
""".strip("\n").split("\n")


def everyday(line: str) -> str:
    return real(line) if "EOF" in line or "# comment" in line else line


def test_there_are_enough_of_them() -> None:
    assert len(set(EVERYDAY)) >= 150


@pytest.mark.parametrize("line", EVERYDAY)
def test_what_only_reads_does_not_ask(line: str) -> None:
    for mode in MODES:
        verdict = judge(everyday(line), mode)
        assert verdict.action == "run", verdict


@pytest.mark.parametrize("line", WORK)
def test_work_is_not_held_up_in_auto(line: str) -> None:
    assert judge(everyday(line), "auto").action == "run"


# ---- what a person is shown --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "shown"), [
    ("ls \u202e/ fr- mr", "ls \\u202e/ fr- mr"),
    ("ls\u200b x", "ls\\u200b x"),
    ("rm\u00a0x", "rm\\xa0x"),
    ("ls \x1b[2K", "ls \\x1b[2K"),
    ("ls\rrm x", "ls\\x0drm x"),
    ("ls \U000e0041", "ls \\U000e0041"),
    ("ls \u3164\ufe0f\u00ad", "ls \\u3164\\ufe0f\\xad"),
    ("ls" + " " * 200 + "; rm x", "ls [200 blanks] ; rm x"),
    ("echo 'ünï 日本 🎉'\n\tls", "echo 'ünï 日本 🎉'\n\tls"),
])
def test_what_is_invisible_is_spelled(command: str, shown: str) -> None:
    assert spelled(command) == shown and not unreadable(spelled(command))


def test_letters_that_only_look_like_a_command() -> None:
    for command in ("\u0455ort f", "g\u0456t status", "\uff4cs", "l\u0455", "c\u0430t f"):
        verdict = judge(command, "ask", ["ls", "git status", "sort", "cat"])
        assert verdict.action == "ask" and "U+" in verdict.reason


# ---- against a real bash -----------------------------------------------------------------------------------------

BOX = ["bwrap", "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc", "--unshare-all",
       "--die-with-parent"]
needs_bwrap = pytest.mark.skipif(
    not shutil.which("bwrap") or subprocess.run([*BOX, "true"], capture_output=True).returncode != 0,
    reason="bubblewrap does not work here")


class Folder:
    """A folder in which bash runs a command; whether anything in it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fill()

    def fill(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        (self.path / "src").mkdir(parents=True)
        (self.path / "f").write_text("a[$(touch y)]\n")
        (self.path / "-o y").write_text("touch y\n")
        (self.path / "a.txt").write_text("1\n2\n")
        self.state = self.look()

    def look(self) -> list[tuple[str, int, int]]:
        return sorted((str(one), one.lstat().st_size, one.lstat().st_mtime_ns) for one in self.path.rglob("*"))

    def changed_by(self, command: str) -> bool:
        inside = [*BOX, "--bind", str(self.path), "/tmp/work", "--chdir", "/tmp/work", "bash", "--norc", "-c", command]
        try:
            subprocess.run(inside, env={"PATH": os.defpath, "HOME": "/tmp"}, stdin=subprocess.DEVNULL, timeout=3,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        except subprocess.TimeoutExpired:
            pass
        changed = self.look() != self.state
        if changed:
            self.fill()
        return changed


@needs_bwrap
def test_bash_agrees_that_the_everyday_ones_only_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "work")
    assert folder.changed_by("touch y") and folder.changed_by("x='b[$(touch y)]'; echo $((x))")  # it would be seen
    together = "\n".join(f"({everyday(line)}\n)" for line in EVERYDAY if not line.startswith(("man", "pip")))
    assert not folder.changed_by(together)


BITS = ("touch y", "; touch y", "$(touch y)", "`touch y`", "'", '"', "\\", "$'", "\n", " ", "#", "{", "}", "(", ")", "<<E\n",
        "\nE\n", "|", "&", "&&", "!", ">y", "<(", "$((", "))", "[", "]", "[[", "]]", "x=", "$x", "a[", "${", "}", "@P", "-v",
        "-eq", "then", "do", "done", "fi", ";;", "time", "f() ", "$[", "\t", "2>", "=", "+=", "*", "?", "~", "<<<", "<<-'E'\n")


def mutated(draw: random.Random, lines: list[str]) -> str:
    text = draw.choice(lines)
    for _ in range(draw.randint(1, 4)):
        at, kind = draw.randint(0, len(text)), draw.random()
        if kind < 0.5:
            text = text[:at] + draw.choice(BITS) + text[at:]
        elif kind < 0.7:
            text = text[:at] + text[at + draw.randint(1, 4) :]
        else:
            other = draw.choice(lines)
            text = draw.choice((f"{text}{draw.choice(('; ', ' && ', ' | ', chr(10)))}{other}",
                                f"{text[:at]}$({other}){text[at:]}"))
    return text


@needs_bwrap
@pytest.mark.slow
def test_bash_changes_nothing_where_the_policy_says_it_only_reads(tmp_path: Path) -> None:
    """Mutations of all lists above; what is said to only read is run for real. (It has found six holes.)"""
    folder = Folder(tmp_path / "work")
    draw = random.Random(int(os.environ.get("NIMLLM_FUZZ_SEED", "7")))
    lines = [*map(real, EVASIONS), *map(everyday, EVERYDAY)]
    end, ran = time.monotonic() + float(os.environ.get("NIMLLM_FUZZ_SECONDS", "60")), 0
    while time.monotonic() < end:
        command = mutated(draw, lines)
        if judge(command, "ask").action == "run":
            ran += 1
            assert not folder.changed_by(command), command
    assert ran > 20
