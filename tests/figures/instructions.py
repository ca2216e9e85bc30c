"""Counts the instructions that the main thread of a program executes inside one shared library, from a profile of
callgrind, and those of them that are locked, by the library's disassembly.

It knows callgrind's and objdump's formats and nothing of the library. Calls are charged to the callee: what libc or
the kernel does on the library's behalf counts for neither.
"""

import collections
import re
import subprocess

# An atomic read-modify-write of x86-64: the lock prefix, or xchg with memory, which is locked without one.
LOCKED = re.compile(r"\block\b|\bxchg\s.*\(%")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(.*)$")
# A name stands where its number comes first, which may be a callee's line.
OBJECT = re.compile(r"^(c?)ob=(?:\((\d+)\))?\s*(.*)$")
COST = re.compile(r"^(0x[0-9a-f]+|[+-]\d+|\*)\s")


def self_costs(lines, library):
    """Executions by address of the instructions of the object whose file name is `library`."""
    names = {}
    costs = collections.Counter()
    inside = False
    is_call = False
    address = 0
    for line in lines:
        if found := OBJECT.match(line):
            callee, number, name = found.groups()
            if name:
                names[number] = name
            if not callee:
                inside = names.get(number, name).rsplit("/", 1)[-1].startswith(library)
        elif line.startswith("calls="):
            is_call = True
        elif found := COST.match(line):
            position = found[1]
            if position.startswith("0x"):
                address = int(position, 16)
            elif position != "*":
                address += int(position)
            if inside and not is_call:
                costs[address] += int(line.split()[2])
            is_call = False
    return costs


def locked_addresses(library):
    """The addresses of the library's locked instructions."""
    listing = subprocess.run(["objdump", "--disassemble", "--no-show-raw-insn", library],
                             check=True, capture_output=True, text=True)
    found = (INSTRUCTION.match(line) for line in listing.stdout.splitlines())
    return {int(one[1], 16) for one in found if one and LOCKED.search(one[2])}


def of_main_thread(command, library, scratch):
    """Runs the command under callgrind; executions by address inside `library`, on the main thread."""
    for old in scratch.glob("callgrind.out*"):
        old.unlink()
    subprocess.run(["valgrind", "--tool=callgrind", "--quiet", "--fair-sched=yes", "--dump-instr=yes", "--separate-threads=yes",
                    f"--callgrind-out-file={scratch}/callgrind.out", *command], check=True)
    with (scratch / "callgrind.out-01").open(errors="replace") as lines:
        return self_costs(lines, library.name)
