package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// finding is what one check of the doctor found.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, note, warning or failure
	What   string `json:"what"`
	Why    string `json:"why,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// diagnosis is what --json prints.
type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

// The statuses of findings.
const (
	statusOK      = "ok"
	statusNote    = "note"
	statusWarning = "warning"
	statusFailure = "failure"
)

// patient is what the doctor looks at.
type patient struct {
	app      *app
	path     string
	from     client.Source
	conn     *client.Conn
	info     info
	engine   map[string]string
	config   map[string]string
	reached  bool
	pid      string
	findings []finding
}

// doctor checks everything between kvctl and the data.
func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "check socket, permissions, unit, sandbox, limits, engine and state, and say what mends them",
		Long: `Looks at the socket, who may open it, its unit, whether the daemon answers, its
sandbox and limits, its engine and its state directory, and says of what is
wrong why it is so and the command that mends it. It changes nothing; asking
starts a daemon that systemd holds ready.

The exit status is 0 if nothing is wrong but for warnings, 3 if something is, 4
if the daemon cannot be reached.`,
		Example: `  kvctl doctor
  sudo kvctl doctor
  kvctl --json doctor | jq '.checks[] | select(.status != "ok")'`,
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return a.examine() },
	}
}

// examine runs the checks and prints what they found.
func (a *app) examine() error {
	p := &patient{app: a}
	p.path, p.from = client.Locate(a.socket)
	p.checkSocket()
	p.checkUnits()
	p.reached = p.checkAnswer()
	if p.reached {
		p.checkDaemon()
		p.checkEngine()
		p.checkState()
		p.checkMemory()
		_ = p.conn.Close()
	} else {
		p.checkStopped()
	}
	if err := a.paged(p.print); err != nil {
		return err
	}
	switch {
	case !p.reached:
		return quiet(ExitConnect)
	case p.count(statusFailure) > 0:
		return quiet(ExitServer)
	}
	return nil
}

// found notes a finding.
func (p *patient) found(check, status, what, why, fix string) {
	p.findings = append(p.findings, finding{check, status, what, why, fix})
}

// count is how many findings have a status.
func (p *patient) count(status string) int {
	n := 0
	for _, f := range p.findings {
		if f.Status == status {
			n++
		}
	}
	return n
}

// checkSocket looks at the file and at who may open it.
func (p *patient) checkSocket() {
	named := string(p.from)
	if named == "" {
		named = "the default"
	}
	info, err := os.Lstat(p.path)
	switch {
	case err != nil:
		return // checkAnswer says why
	case info.Mode().Type() == os.ModeSymlink:
		p.found("socket", statusNote, p.path+" is a link ("+named+")", "", "")
	case info.Mode().Type() != os.ModeSocket:
		return
	default:
		p.found("socket", statusOK, p.path+" ("+named+")", "", "")
	}
	owner, mine := client.Access(p.path)
	if owner == "" {
		return
	}
	switch {
	case p.checkSocketMode(owner):
	case mine:
		p.found("permissions", statusOK, "it belongs to "+owner+"; you may open it", "", "")
	}
}

// checkUnits asks systemd.
func (p *patient) checkUnits() {
	socket, s, ok := client.UnitState(p.path, "socket")
	if !ok {
		p.found("unit", statusNote, "systemd does not make this socket", "", "")
		return
	}
	switch {
	case s["LoadState"] != "loaded" || s["ActiveState"] == "failed":
		return // checkAnswer says why
	case s["ActiveState"] != "active":
		p.found("unit", statusFailure, socket+" is "+s["ActiveState"], "nothing listens for it", client.Systemctl(p.path, "enable --now "+socket))
		return
	case s["UnitFileState"] == "disabled":
		p.found("unit", statusWarning, socket+" is active, but not enabled", "it will not listen after the next start of the machine", client.Systemctl(p.path, "enable "+socket))
	default:
		p.found("unit", statusOK, socket+" is active", "", "")
	}
	p.checkReload(socket, s)
	service, s, ok := client.UnitState(p.path, "service")
	switch {
	case !ok:
		return
	case s["ActiveState"] == "failed":
		p.found("unit", statusFailure, service+" has failed ("+s["Result"]+")", "its last messages are in the journal", "journalctl -u "+service+" -n 20\n"+client.Systemctl(p.path, "reset-failed "+service))
	default:
		p.found("unit", statusOK, service+" is "+s["ActiveState"], "", "")
	}
	p.checkReload(service, s)
}

// checkAnswer connects and asks for all that the other checks need.
func (p *patient) checkAnswer() bool {
	conn, err := p.app.dial()
	if err == nil {
		p.conn = conn
		p.info, err = readInfo(conn)
	}
	if err != nil {
		f, _ := describe(err)
		p.found("answer", statusFailure, f.what, f.why, f.fix)
		return false
	}
	if p.info["kvstored_version"] == "" {
		p.found("answer", statusFailure, "the server at this socket is not kvstored", "it says redis "+p.info["redis_version"], "use --socket PATH to name the socket of kvstored")
		return true
	}
	what := "kvstored " + p.info["kvstored_version"] + " answers, process " + p.info["process_id"]
	p.pid = p.info["process_id"]
	p.engine = statusFields(conn)
	p.config = map[string]string{}
	if r, err := conn.Do("CONFIG", "GET", "*"); err == nil {
		if fields, err := r.Fields(); err == nil {
			for _, f := range fields {
				p.config[f.Name] = f.Value.Text()
			}
		}
	}
	if v := p.app.version; v != p.info["kvstored_version"] && v != "development" {
		p.found("answer", statusWarning, what+", kvctl is "+v, "one of them was upgraded alone, or the daemon not restarted since", client.Systemctl(p.path, "restart "+p.unit("service")))
		return true
	}
	p.found("answer", statusOK, what, "", "")
	return true
}

// procStatus reads a field of /proc/PID/status.
func (p *patient) procStatus(field string) string {
	data, err := os.ReadFile("/proc/" + p.pid + "/status")
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// checkDaemon looks at the process: its sandbox and limits.
func (p *patient) checkDaemon() {
	if p.pid == "" || p.procStatus("Name") == "" {
		p.found("sandbox", statusNote, "the daemon's process cannot be looked at", "", "")
		return
	}
	p.checkSandbox()
	p.checkFiles()
}

// openFiles is how many files the daemon may have open, 0: that is not known.
func (p *patient) openFiles() int {
	data, err := os.ReadFile("/proc/" + p.pid + "/limits")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			limit, _ := strconv.Atoi(strings.Fields(rest)[0])
			return limit
		}
	}
	return 0
}

// number is a setting that counts something.
func (p *patient) number(setting string) int {
	n, _ := strconv.Atoi(p.config[setting])
	return n
}

// findingIndent is where the text of a finding begins.
const findingIndent = 21

// printFinding writes one finding. On a terminal long text goes on below itself.
func (p *patient) printFinding(f finding, color string) {
	a := p.app
	width := 1 << 30
	if a.outTTY {
		columns, _ := a.screen()
		width = max(columns-findingIndent-1, 18)
	}
	indent := strings.Repeat(" ", findingIndent)
	what := strings.Join(wrap(printable(f.What), width), "\n"+indent)
	fmt.Fprintf(a.out, "%s %-11s  %s\n", a.style(a.outTTY, color, fmt.Sprintf("%-7s", f.Status)), f.Check, what)
	for _, advice := range [][2]string{{"why", f.Why}, {"fix", f.Fix}} {
		if advice[1] == "" {
			continue
		}
		label := a.style(a.outTTY, "1", advice[0]+":")
		for line := range strings.SplitSeq(advice[1], "\n") {
			for _, row := range wrap(printable(line), width-5) {
				fmt.Fprintf(a.out, "%s%s %s\n", indent, label, row)
				label = "    "
			}
		}
	}
}

// print writes the findings in the form that was asked for.
func (p *patient) print() error {
	a := p.app
	if a.json {
		return a.object(diagnosis{p.count(statusFailure) == 0, p.findings})
	}
	colors := map[string]string{statusOK: "32", statusNote: "2", statusWarning: "33", statusFailure: "1;31"}
	for _, f := range p.findings {
		p.printFinding(f, colors[f.Status])
	}
	bad, odd := p.count(statusFailure), p.count(statusWarning)
	switch {
	case bad > 0:
		fmt.Fprintln(a.out, "\n"+counted(int64(bad), "failure")+", "+counted(int64(odd), "warning"))
	case odd > 0:
		fmt.Fprintln(a.out, "\nit works; "+counted(int64(odd), "warning"))
	default:
		fmt.Fprintln(a.out, "\nall is well")
	}
	return nil
}
