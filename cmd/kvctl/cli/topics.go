package cli

// Topic is a page of help about something that is not a command; the manual
// has each as a section.
type Topic struct {
	Name    string // for kvctl help NAME
	Section string // of kvctl(1)
	Short   string
	Rows    [][2]string
	Text    string // stands behind the rows
}

// Topics are the pages besides those of the commands.
var Topics = []Topic{
	{
		Name: "shell", Section: "THE SHELL", Short: "kvctl alone on a terminal: what can be typed there",
		Rows: [][2]string{
			{"SET name Rojalin", "any command of the server; what may follow is shown below the line, TAB offers commands, options and keys"},
			{"SET text \"two", "an open quote goes on in the next line: values of several lines"},
			{"watch 2 GET name", "the command every 2 seconds, until Ctrl-C"},
			{"MULTI", "the prompt then counts the commands that wait for EXEC"},
			{"help SET", "explains a command; help alone is this page, help commands lists all"},
			{"top, keys, doctor", "the commands of kvctl itself, as on the command line"},
			{"Ctrl-R", "searches the lines typed before"},
			{"Ctrl-C", "drops the line, or ends waiting for an answer"},
			{"Ctrl-D, exit", "leaves the shell"},
		},
		Text: `Long answers go through $KVCTL_PAGER, $PAGER, less or a simple pager of
kvctl's own. The keys are those of readline; ~/.inputrc is heeded ($if kvctl).

Lines are kept in ~/.local/state/kvctl/history, which only its owner may read.
A line with a password (AUTH and its like) is not kept, nor is one that begins
with a blank. KVCTL_HISTORY names another file; empty, nothing is kept.

When the daemon was restarted the shell connects anew and says so; a command
that may have been carried out is not repeated.`,
	},
	{
		Name: "exit-codes", Section: "EXIT STATUS", Short: "what the exit statuses mean",
		Rows: [][2]string{
			{"0", "the command was carried out"},
			{"1", "there is no such key (the answer is nil); nothing is printed on a pipe"},
			{"2", "kvctl was called wrongly, or could not read its input"},
			{"3", "the server answered an error or refused the request; of lines from standard input, at least one failed"},
			{"4", "the daemon could not be reached, or the connection was lost and the outcome is unknown"},
			{"130, 143", "Ctrl-C, or SIGTERM, ended it: also what goes on until then, such as watch"},
		},
		Text: `kvctl doctor ends with 3 if something is wrong and 4 if the daemon is not to be
reached; kvctl watch --timeout with 1 if the time is up; kvctl import with 3 if
commands were refused, 2 if the file is not what its format says.

kvctl engine check has the exit status of kvstored check-engine. Lines from
standard input go on after a failed one, and a missing key among them is not a
failure: it prints an empty line.

  if name=$(kvctl GET name); then echo "hello $name"; else echo "who?"; fi`,
	},
	{
		Name: "environment", Section: "ENVIRONMENT", Short: "the variables that kvctl heeds",
		Rows: [][2]string{
			{"KVSTORE_SOCKET", "the daemon's socket, where --socket does not name one"},
			{"XDG_RUNTIME_DIR", "without either, kvstored/kvstored.sock in it is used if it exists: the daemon of this user"},
			{"KVCTL_PAGER, PAGER", "the pager for long answers on a terminal; cat means none"},
			{"KVCTL_HISTORY", "the file of the shell's lines; empty: none"},
			{"TMPDIR", "where long values are kept while it is found out whether they are text; else /var/tmp"},
			{"NO_COLOR", "when not empty, nothing is coloured; so it is with TERM=dumb"},
		},
		Text: `Where none of these names a socket, it is /run/kvstored/kvstored.sock.`,
	},
	{
		Name: "json", Section: "JSON", Short: "the form of --json",
		Rows: [][2]string{
			{"text", `{"value":"Rojalin","encoding":"utf-8"}`},
			{"other bytes", `{"value":"//4=","encoding":"base64"}`},
			{"a number", `{"value":42}`},
			{"nothing", `{"value":null}, and exit status 1`},
			{"an array", `{"value":["a",null,7,{"value":"//4=","encoding":"base64"}]}`},
			{"a map", `{"value":{"engine":"hash","generation":1}}`},
		},
		Text: `kvctl --json alone lists the fields of what kvctl's own commands print;
--json=FIELD,… prints some of them, --json= lists those of one command.

--jq EXPRESSION passes each object through an expression of jq, which need not
be installed: kvctl --jq .value GET name. It holds the whole answer; without it
values go through in pieces, however long they are.

One object a line on a pipe, spread over several on a terminal. Inside arrays
and maps text is a plain string and other bytes are an object. Errors stand on
standard error as always.`,
	},
}
