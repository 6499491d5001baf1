# SPDX-License-Identifier: Apache-2.0
# syscalls: makes each process's list of system calls from comments beside the code that needs them.
#
#     awk -v out=DIRECTORY -f core/syscalls.awk role=NAME FILE... role=NAME FILE...
#
# For each role, which is a process with a list of its own, DIRECTORY/NAME_calls.h (for isolation.h)
# and DIRECTORY/NAME_calls.list (for tests/syscalls) come from the comments of the files that it
# runs. A declaration is one line of a comment:
#
#     #syscalls CALL...                 needed, and seen by tests/syscalls
#     #syscalls-rare CALL...; REASON    needed, but not on the ways that the tests go
#     #syscalls-sanitized CALL...       needed by the run time of a build with a sanitizer alone
#     #syscalls-denied CALL...; REASON  made, and refused on purpose
#
# "#syscalls:NAME,NAME ..." counts only for these of the roles that run the file. A CALL is
#
#     name                              allowed with any arguments
#     name|name                         one duty, which the C library performs by either; all of them
#                                       that the architecture has are allowed, and one has to be there
#     name(1 is SHUT_WR)                allowed when argument 1, counted from 0, is that
#     name(2 without PROT_EXEC, ...)    ... when none of these bits is set in argument 2
#
# Which names an architecture has, the compiler knows: what is made here is the same for all. A name
# that it does not have ends the compilation, but for those that are rare or a sanitizer's.

function fail(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what > "/dev/stderr"
	failed = 1
}

# "1 is SHUT_WR, 2 without X" as initialisers of struct scmp_arg_cmp; sets compared to their number.
function comparisons(text,    parts, n, i, words, value, made) {
	n = split(text, parts, ",")
	for (i = 1; i <= n; i++) {
		if (!match(parts[i], /^ *[0-5] (is|without) [^ ].*$/)) {
			fail("not \"ARGUMENT is VALUE\" or \"ARGUMENT without BITS\": " parts[i])
			continue
		}
		split(parts[i], words, " ")
		value = parts[i]
		sub(/^ *[0-5] (is|without) /, "", value)
		made = made (i > 1 ? ", " : "") "{" words[1] ", " \
			(words[2] == "is" ? "SCMP_CMP_EQ" : "SCMP_CMP_MASKED_EQ") \
			", (scmp_datum_t)(" value "), 0}"
	}
	compared = n
	return made
}

# The line of the table for one name; the first of the same is kept.
function add_rule(kind, name, text, where, optional,    made) {
	compared = 0
	made = text == "" ? "{0}" : comparisons(text)
	if (compared > most)
		fail("at most " most " comparisons")
	if (seen[role, kind, name, made]++)
		return
	if (text == "")
		whole[role, kind, name] = 1
	rules[role]++
	rule_kind[role, rules[role]] = kind
	rule_name[role, rules[role]] = name
	rule_guarded[role, rules[role]] = text != ""
	rule_optional[role, rules[role]] = optional || kind != "needed"
	rule_text[role, rules[role]] = "\t{__NR_" name ", " compared ", {" made "}}, /* " where " */"
}

function declare(kind, text, where,    reason, call, names, n, i, arguments) {
	reason = index(text, ";") ? substr(text, index(text, ";") + 1) : ""
	sub(/;.*/, "", text)
	if ((kind == "rare" || kind == "denied") && reason !~ /[a-z]/)
		fail("#syscalls-" kind " without \"; REASON\"")
	while (match(text, /^[ \t]*[a-z][a-z0-9_|]*(\([^)]*\))?/)) {
		call = substr(text, 1, RLENGTH)
		text = substr(text, RLENGTH + 1)
		gsub(/^[ \t]+/, "", call)
		arguments = ""
		if (index(call, "(")) {
			arguments = substr(call, index(call, "(") + 1)
			arguments = substr(arguments, 1, length(arguments) - 1)
			call = substr(call, 1, index(call, "(") - 1)
		}
		n = split(call, names, "|")
		if (n > 1 && arguments != "")
			fail("arguments of one call have another place in the other: " call)
		for (i = 1; i <= n && kind != "denied"; i++)
			add_rule(kind, names[i], arguments, where, n > 1)
		if (kind == "needed" && n > 1) {
			choices[role]++
			choice[role, choices[role]] = call
			choice_where[role, choices[role]] = where
		}
		listed[role] = listed[role] kind " " call " " where "\n"
	}
	if (text !~ /^[ \t]*$/)
		fail("not a system call: " text)
}

function names_role(list,    parts, n, i, named) {
	n = split(list, parts, ",")
	for (i = 1; i <= n; i++) {
		named = named || parts[i] == role
		wanted[FILENAME, parts[i]] = FILENAME ":" FNR
	}
	return named
}

# A comment of this kind in a text of another file's, such as this head, would not begin its line.
match($0, /^[ \t]*(\/?\*)[ \t]*#syscalls(-[a-z]+)?(:[a-z_,]+)? /) {
	head = substr($0, RSTART, RLENGTH)
	rest = substr($0, RSTART + RLENGTH)
	sub(/[ \t]*\*\/.*$/, "", rest)
	sub(/^[^#]*#syscalls/, "", head)
	sub(/ $/, "", head)
	kind = head
	sub(/:.*/, "", kind)
	sub(/^-/, "", kind)
	if (kind != "" && kind != "rare" && kind != "sanitized" && kind != "denied")
		fail("there is no #syscalls-" kind)
	if (index(head, ":") == 0 || names_role(substr(head, index(head, ":") + 1)))
		declare(kind == "" ? "needed" : kind, rest, FILENAME ":" FNR)
	ran[FILENAME, role] = 1
	known[role] = 1
	next
}

/#syscalls/ {
	fail("a #syscalls comment that cannot be read")
}

BEGIN {
	most = 2
	split("fcntl.h netinet/in.h sys/ioctl.h sys/mman.h sys/socket.h sys/syscall.h", headers, " ")
}

function write_rules(path, r, sanitized,    i) {
	for (i = 1; i <= rules[r]; i++) {
		if ((rule_kind[r, i] == "sanitized") != sanitized)
			continue
		name = rule_name[r, i]
		if (rule_guarded[r, i] && (whole[r, "needed", name] || whole[r, "rare", name]))
			continue
		if (rule_optional[r, i])
			print "#ifdef __NR_" name > path
		print rule_text[r, i] > path
		if (rule_optional[r, i])
			print "#endif" > path
	}
}

function write_role(r,    path, i, n, names, condition) {
	path = out "/" r "_calls.h"
	print "/* Made by core/syscalls.awk from the comments that it names. */" > path
	for (i = 1; i in headers; i++)
		print "#include <" headers[i] ">" > path
	print "\n#include \"core/isolation.h\"\n#include \"core/sanitized.h\"\n" > path
	for (i = 1; i <= choices[r]; i++) {
		n = split(choice[r, i], names, "|")
		condition = "!defined(__NR_" names[1] ")"
		for (; n > 1; n--)
			condition = condition " && !defined(__NR_" names[n] ")"
		print "#if " condition > path
		print "#error \"" choice_where[r, i] ": none of " choice[r, i] " is there\"" > path
		print "#endif" > path
	}
	print "\nstatic const struct isolation_call " r "_calls_each[] = {" > path
	write_rules(path, r, 0)
	print "#if SANITIZED" > path
	write_rules(path, r, 1)
	print "#endif\n};\n" > path
	print "static const struct isolation_calls " r "_calls = {\n\t" r "_calls_each,\n\tsizeof(" r \
		"_calls_each) / sizeof(" r "_calls_each[0]),\n};" > path
	close(path)
	printf "%s", listed[r] > (out "/" r "_calls.list")
	close(out "/" r "_calls.list")
}

END {
	for (pair in wanted) {
		split(pair, parts, SUBSEP)
		if (!((parts[1], parts[2]) in ran)) {
			print wanted[pair] ": no process " parts[2] " runs this file" > "/dev/stderr"
			failed = 1
		}
	}
	if (failed)
		exit 1
	for (r in known)
		write_role(r)
}
