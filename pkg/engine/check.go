package engine

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"kvstored/pkg/engine/conformance"
)

// Report is what a trial found out about a library.
type Report struct {
	Path   string               `json:"path"`
	SHA256 string               `json:"sha256"`
	Size   int64                `json:"size"`
	Info   *Info                `json:"info,omitempty"` // nil: it could not be loaded
	Checks []conformance.Result `json:"checks,omitempty"`
	// Place is why the system's daemon would not load the file from where it
	// is; nil when it would, as far as owners and modes go.
	Place *Refusal `json:"place,omitempty"`
	// Refusal is why the library is not taken; nil when it is.
	Refusal *Refusal `json:"refusal,omitempty"`
}

// message is one line from the child to its parent.
type message struct {
	Doing   string              `json:"doing,omitempty"` // what comes next
	Info    *Info               `json:"info,omitempty"`
	Result  *conformance.Result `json:"result,omitempty"`
	Refusal *Refusal            `json:"refusal,omitempty"`
	Done    bool                `json:"done,omitempty"`
}

// CheckMain is `kvstored check-engine`: it tries the library that args name,
// prints a report and returns an exit code: 0 when the library can be loaded,
// 1 when not, 2 for wrong usage. The trial itself runs in a child process;
// that child is this function again, with --image and --report.
func CheckMain(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("kvstored check-engine", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprintln(stderr, "usage: kvstored check-engine [--json] [--full] PATH") }
	asJSON := flags.Bool("json", false, "print the report as JSON")
	full := flags.Bool("full", false, "make every check, at length")
	image := flags.Int("image", -1, "descriptor of the sealed library (used by kvstored itself)")
	serving := flags.Int("serving", -1, "descriptor of the sealed library that serves (used by kvstored itself)")
	report := flags.Int("report", -1, "descriptor to report to (used by kvstored itself)")
	yield := flags.Bool("yield", false, "give way to other processes (used by kvstored itself)")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return 2
	}
	if *image >= 0 && *report >= 0 {
		if *yield {
			giveWay()
		}
		return tryHere(*image, *serving, *report, flags.Arg(0), *full)
	}
	options := CheckOptions{Command: SelfCheck, Full: *full}
	if *full {
		options.Timeout = fullTimeout
	}
	r := options.Report(flags.Arg(0), Trust{Anybody: true})
	if *asJSON {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			fmt.Fprintln(stderr, "kvstored:", err)
			return 1
		}
		fmt.Fprintf(stdout, "%s\n", text)
	} else {
		fmt.Fprint(stdout, r.Text())
	}
	if r.Refusal != nil {
		return 1
	}
	return 0
}

// tryHere is the child: this process loads the library and may die of it.
func tryHere(imageFD, servingFD, reportFD int, path string, full bool) int {
	becomeTrial()
	defer endChildren()
	to := json.NewEncoder(os.NewFile(uintptr(reportFD), "report"))
	say := func(m message) {
		if to.Encode(m) != nil {
			os.Exit(1) // the parent is gone
		}
	}
	c := candidate{say: say, size: conformance.Smoke}
	if full {
		c.size = conformance.Full
	}
	var err error
	if servingFD >= 0 {
		c.serving, err = adoptImage(servingFD, "the engine that serves")
	}
	if err == nil {
		c.image, err = adoptImage(imageFD, path)
	}
	if err == nil {
		err = onOwnThread(c.try)
	}
	if err != nil {
		var r *Refusal
		if !errors.As(err, &r) {
			r = &Refusal{What: path + ": " + err.Error()}
		}
		say(message{Refusal: r})
		return 1
	}
	say(message{Done: true})
	return 0
}

// trialSeed makes every trial the same.
const trialSeed = 20260101

// candidate is a library that is tried in this process.
type candidate struct {
	image   *Image
	serving *Image // the library that serves now; nil: none, or nobody knows
	size    conformance.Size
	say     func(message)
	lib     *library
}

// try loads the library and makes the checks, all on the calling thread.
func (c *candidate) try() error {
	c.say(message{Doing: "loading it"})
	before := lookAround()
	var err error
	if c.lib, err = loadImage(c.image); err != nil {
		return err
	}
	c.say(message{Info: &c.lib.info})
	if err := c.conform("checking ", conformable(c.lib, nil), conformance.Run); err != nil {
		return err
	}
	if err := c.takeOver(); err != nil {
		return err
	}
	return c.unload(before)
}

// conform makes the checks that run makes and refuses the library when one of
// them fails.
func (c *candidate) conform(doing string, e conformance.Engine, run func(conformance.Engine, conformance.Size, uint64) []conformance.Result) error {
	var failed *conformance.Result
	e.Begin = func(check string) { c.say(message{Doing: doing + check}) }
	for _, r := range run(e, c.size, trialSeed) {
		c.say(message{Result: &r})
		if !r.OK() && failed == nil {
			failed = &r
		}
	}
	if failed != nil {
		return refuseCheck(c.image, &c.lib.info, failed)
	}
	return nil
}

// takeOver has stores of the library that serves go over to the candidate and
// back, if their formats say that this is possible: in the daemon it happens
// to the only store there is.
func (c *candidate) takeOver() error {
	if c.serving == nil {
		return nil
	}
	c.say(message{Doing: "loading the engine that serves"})
	serving, err := loadImage(c.serving)
	if err != nil {
		return err
	}
	if canHandOver(&serving.info, &c.lib.info) {
		e := conformable(serving, c.lib)
		e.Capabilities &= c.lib.info.Capabilities
		if tighter(c.lib.info.MaxKey, e.MaxKey) {
			e.MaxKey = c.lib.info.MaxKey
		}
		if tighter(c.lib.info.MaxValue, e.MaxValue) {
			e.MaxValue = c.lib.info.MaxValue
		}
		doing := "taking a store over from " + serving.info.Name + " " + serving.info.Version + ": "
		if err := c.conform(doing, e, conformance.RunTakeOver); err != nil {
			return err
		}
	}
	return serving.unload()
}

// unload takes the library out and looks at what it left.
func (c *candidate) unload(before surroundings) error {
	c.say(message{Doing: "unloading it"})
	if err := c.lib.unload(); err != nil {
		return err
	}
	gone := conformance.Result{Name: "unloading"}
	if !c.lib.info.Has(CapNoUnload) && mapped(c.image) {
		gone.Skipped = fmt.Sprintf("its code stays mapped; each exchange leaves %d KiB behind", (c.image.Size+1023)>>10)
	}
	c.say(message{Result: &gone})
	left := conformance.Result{Name: "process as it was before", Failure: disturbed(before)}
	c.say(message{Result: &left})
	if !left.OK() {
		return refuseCheck(c.image, &c.lib.info, &left)
	}
	c.say(message{Doing: "ending a thread that it ran in"})
	return nil
}

// refuseCheck is the refusal of an engine that failed a check.
func refuseCheck(image *Image, info *Info, failed *conformance.Result) error {
	return refuse(failed.Failure, "tell the engine's author; kvctl engine check "+image.Path+" shows every check",
		"%s: %s %s fails the check %q", image.Path, info.Name, info.Version, failed.Name)
}

// disturbed says what a library that is gone has left or changed in this
// process; "" for nothing.
func disturbed(before surroundings) string {
	var all []string
	if n := endChildren(); n > 0 {
		all = append(all, fmt.Sprintf("it started a process that did not end (%d in all)", n))
	}
	if names := lookAround().changed(before); len(names) > 0 {
		all = append(all, "it changed "+strings.Join(names, ", "))
	}
	return strings.Join(all, "; ")
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(&b, r.Path)
	if r.Info != nil {
		i := r.Info
		line("engine", "%s %s", i.Name, i.Version)
		line("format", "%s", i.Format)
		line("interface", "%d", i.ABI)
		line("capabilities", "%s", orNone(CapNames(i.Capabilities)))
		line("limits", "keys %s, values %s", limitText(i.MaxKey), limitText(i.MaxValue))
	}
	if r.SHA256 != "" {
		line("sha256", "%s", r.SHA256)
	}
	for _, c := range r.Checks {
		line("check", "%s", c)
	}
	if r.Place != nil {
		line("note", "the system's daemon would not load it from here: %s", r.Place.What)
		line("why", "%s", r.Place.Why)
		line("fix", "%s", r.Place.Fix)
	}
	if r.Refusal == nil {
		line("result", "ok")
		return b.String()
	}
	line("result", "refused: %s", r.Refusal.What)
	line("why", "%s", r.Refusal.Why)
	line("fix", "%s", r.Refusal.Fix)
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func limitText(n uint64) string {
	if n == 0 {
		return "of any length"
	}
	return fmt.Sprintf("to %d bytes", n)
}

// CheckTimeout is how long a trial may take where nothing else is said,
// fullTimeout how long one with every check, for a sanitizer's build, too.
const (
	CheckTimeout = 10 * time.Second
	fullTimeout  = 12 * CheckTimeout
)
