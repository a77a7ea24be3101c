package cli

import (
	"strings"

	"kvstored/pkg/client"
)

// advice is what kvctl adds to an error of the server that has no reason and
// no way out of its own. KEY stands for the first argument.
type advice struct {
	begins string // how the error begins, its code included
	why    string
	fix    string
}

// advices are tried in order.
var advices = []advice{
	{"ERR value is not an integer", "the value of KEY, or a number in the command, is not a whole number between -2^63 and 2^63-1", "kvctl GET KEY"},
	{"ERR value is not a valid float", "the value of KEY, or the increment, is not a number", "kvctl GET KEY"},
	{"ERR increment or decrement would overflow", "the sum does not fit 64 bits; KEY is as it was", "kvctl GET KEY, or begin anew: kvctl SET KEY 0"},
	{"ERR increment would produce NaN", "the sum is no number; KEY is as it was", "kvctl GET KEY"},
	{"ERR decrement would overflow", "the number to take away has no counterpart in 64 bits", "a smaller number"},
	{"ERR invalid expire time", "a time to live is a whole number above 0, and not too far away", "kvctl help COMMAND; to let it expire now: kvctl DEL KEY"},
	{"ERR no such key", "KEY was never set, was deleted or has expired", "kvctl EXISTS KEY, or look for its like: kvctl keys"},
	{"ERR DB index is out of range", "the databases are numbered from 0 to 15", "kvctl -n N …, or in the shell SELECT N, N from 0 to 15"},
	{"ERR string exceeds maximum", "a value holds at most 512 MiB", "parts under keys of their own"},
	{"ERR offset is out of range", "offsets are not negative, and end at 512 MiB", "kvctl STRLEN KEY"},
	{"ERR bit offset is not", "bits are numbered from 0 to 2^32-1", "kvctl help COMMAND"},
	{"ERR bit is not", "a bit is 0 or 1", "kvctl help COMMAND"},
	{"ERR invalid cursor", "a cursor is 0, or the number that the last SCAN answered", "kvctl SCAN 0"},
	{"ERR MULTI calls can not be nested", "a transaction is open already", "EXEC or DISCARD first"},
	{"ERR EXEC without MULTI", "no transaction is open on this connection; each kvctl has one of its own", "commands in one go: printf 'MULTI\\n…\\nEXEC\\n' | kvctl, or in the shell: kvctl"},
	{"ERR DISCARD without MULTI", "no transaction is open on this connection; each kvctl has one of its own", "in the shell: kvctl"},
	{"EXECABORT", "a command before EXEC was refused, so none was carried out", "mend that command and begin again with MULTI"},
	{"WRONGTYPE", "KEY holds another type", "kvctl TYPE KEY"},
	{"NOSCRIPT", "scripts are forgotten when the daemon starts", "EVAL with the script itself, or SCRIPT LOAD again"},
	{"BUSY ", "a script runs, and all others wait for it", "kvctl SCRIPT KILL"},
	{"BUSYKEY", "KEY exists already", "REPLACE at the end of the command, or another key"},
	{"OOM ", "the memory limit (maxmemory) is reached", "what is big: kvctl keys; or a higher limit in kvstored.conf"},
	{"MISCONF", "the disk refuses what is to be kept", "kvctl doctor"},
	{"READONLY", "the disk failed, or its file system is read-only", "kvctl doctor"},
}

// advise finds what to add to an error about a command.
func advise(server *client.ServerError, args []string) (why, fix string) {
	text := server.Error()
	for _, a := range advices {
		if !strings.HasPrefix(text, a.begins) {
			continue
		}
		key := "the key"
		if cmd, words := called(args); cmd != nil && cmd.FirstKey > 0 && len(words) > 0 {
			key = client.ShellWord(words[0])
		}
		fill := strings.NewReplacer("KEY", key, "COMMAND", strings.ToUpper(args[0]))
		why, fix = fill.Replace(a.why), fill.Replace(a.fix)
		if key == "the key" && strings.Contains(a.fix, "KEY") {
			fix = "kvctl help " + strings.ToUpper(args[0])
		}
		return why, fix
	}
	return "", ""
}
