package client

import "strings"

// reads holds the commands that change nothing: asking twice is as good as
// asking once.  The value says whether the first argument is a key.
var reads = map[string]bool{
	"GET": true, "MGET": true, "EXISTS": true, "TYPE": true, "STRLEN": true, "GETRANGE": true, "SUBSTR": true,
	"GETBIT": true, "BITCOUNT": true, "BITPOS": true, "BITFIELD_RO": true, "PFCOUNT": true, "LCS": true, "DUMP": true, "TOUCH": true,
	"TTL": true, "PTTL": true, "EXPIRETIME": true, "PEXPIRETIME": true,
	"PING": false, "ECHO": false, "TIME": false, "INFO": false, "DBSIZE": false, "COMMAND": false,
	"KEYS": false, "SCAN": false, "RANDOMKEY": false, "SELECT": false, "HELLO": false,
}

// subcommandReads holds the read-only parts of commands that have both.
var subcommandReads = map[string]bool{
	"CONFIG GET": true, "ENGINE STATUS": true, "CLIENT LIST": true, "CLIENT INFO": true,
	"CLIENT ID": true, "CLIENT GETNAME": true, "CLIENT SETNAME": true, "CLIENT SETINFO": true,
	"OBJECT ENCODING": true, "OBJECT REFCOUNT": true, "MEMORY USAGE": true,
}

// keyless holds the commands that write, but not to one key that could be
// named in an error.
var keyless = map[string]bool{
	"FLUSHALL": true, "FLUSHDB": true, "MULTI": true, "EXEC": true, "DISCARD": true, "SHUTDOWN": true,
	"SAVE": true, "BGSAVE": true, "SWAPDB": true, "EVAL": true, "EVALSHA": true, "AUTH": true,
	"PUBLISH": true, "RESET": true, "QUIT": true,
}

// groups holds the commands whose second word says what they do.
var groups = map[string]bool{
	"ENGINE": true, "CONFIG": true, "CLIENT": true, "DEBUG": true, "SCRIPT": true, "OBJECT": true,
	"MEMORY": true, "FUNCTION": true, "LATENCY": true, "SLOWLOG": true, "ACL": true,
}

// verb is the command's name in capitals.
func verb(args []string) string { return strings.ToUpper(args[0]) }

// Repeatable reports whether a command may be sent again when nobody knows
// whether it was carried out.
func Repeatable(args []string) bool {
	name := verb(args)
	if _, ok := reads[name]; ok {
		return true
	}
	return len(args) > 1 && subcommandReads[name+" "+strings.ToUpper(args[1])]
}

// Command is the name and the key of the command that was lost.
func (e *LostError) Command() string {
	name, key := e.parts()
	if key == "" {
		return name
	}
	return name + " " + shellWord(key)
}

// parts takes the command's name, with its second word where that belongs to
// it, and the key that it writes.
func (e *LostError) parts() (name, key string) {
	name = verb(e.Args)
	if groups[name] && len(e.Args) > 1 {
		return name + " " + strings.ToUpper(e.Args[1]), ""
	}
	hasKey, isRead := reads[name]
	if len(e.Args) < 2 || keyless[name] || isRead && !hasKey {
		return name, ""
	}
	return name, e.Args[1]
}

// shellWord quotes s where a shell would take it apart.
func shellWord(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+=,", r))
	})
	if plain {
		return s
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return "$'" + escapeShell(s) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// escapeShell writes s for the $'...' quotes of a shell.
func escapeShell(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// ShellWord quotes s where a shell would take it apart.
func ShellWord(s string) string { return shellWord(s) }
