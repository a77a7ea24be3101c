package client

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"

	"kvstored/pkg/install"
)

// lastWords is why a daemon did not start, in its own words from the journal;
// empty where it said nothing, or this user may not read what it said.
type lastWords struct {
	Message string `json:"MESSAGE"`
	Why     string `json:"WHY"`
	Fix     string `json:"FIX"`
}

// notStarting is how such an entry begins.
const notStarting = "not starting: "

// lastWordsOf asks the journal for what the process said.
func (u unit) lastWordsOf(pid string) lastWords {
	if pid == "" || pid == "0" {
		return lastWords{}
	}
	args := []string{"-q", "--no-pager", "-b", "-n", "20", "-o", "json", "--output-fields=MESSAGE,WHY,FIX", "_PID=" + pid}
	if u.user {
		args = append([]string{"--user"}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", args...).Output()
	if err != nil {
		return lastWords{}
	}
	return parseLastWords(string(out))
}

// parseLastWords finds the first reason in lines of JSON: of several mistakes
// in a configuration that is where to begin.
func parseLastWords(lines string) lastWords {
	for line := range strings.Lines(lines) {
		var said lastWords
		if json.Unmarshal([]byte(line), &said) == nil && strings.HasPrefix(said.Message, notStarting) {
			return said
		}
	}
	return lastWords{}
}

// runnable is a fix with what is no command as a remark, so that all of its
// lines can be run.
func runnable(fix string) string {
	if fix == "" {
		return ""
	}
	fix = install.ByUser(fix)
	for _, program := range []string{"sudo ", "mount ", "chown ", "chmod ", "install ", "systemctl ", "kvctl ", "apt ", "dnf ", "zypper ", "namei "} {
		if strings.HasPrefix(fix, program) {
			return fix + "\n"
		}
	}
	return "# " + fix + "\n"
}

// systemdSteps are exit statuses that systemd gives a service it could not
// even start, and what it could not do.
var systemdSteps = map[string]string{
	"200": "its working directory", "203": "its program, which is missing or may not be run", "217": "its user, which does not exist",
	"218": "its capabilities", "226": "its sandbox", "238": "its state directory", "241": "its configuration directory",
}

// reason says why the service failed, and what mends that before it can be
// started again; both may be empty.
func (u unit) reason() (why, fix string) {
	s := u.show("service")
	if step := systemdSteps[s["ExecMainStatus"]]; step != "" {
		return "systemd could not set up " + step, ""
	}
	said := u.lastWordsOf(s["ExecMainPID"])
	what, _, _ := strings.Cut(said.Message, "\n") // why and fix follow it, and come as fields, too
	why = strings.TrimPrefix(what, notStarting)
	if said.Why != "" {
		why += ": " + said.Why
	}
	return why, runnable(said.Fix)
}
