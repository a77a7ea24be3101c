// Package install says how this machine installs packages, for messages.
package install

import (
	"os"
	"path/filepath"
	"strings"
)

// Command is how this machine installs a package, after os-release.
func Command(pkg string) string { return command("/etc/os-release", pkg) }

// command is Command for an os-release file of its own.
func command(osRelease, pkg string) string {
	data, err := os.ReadFile(osRelease)
	if err != nil {
		return "install the package " + pkg
	}
	var ids []string
	for line := range strings.SplitSeq(string(data), "\n") {
		name, value, _ := strings.Cut(line, "=")
		value = strings.Trim(value, `"'`)
		switch name {
		case "ID":
			ids = append([]string{value}, ids...)
		case "ID_LIKE":
			ids = append(ids, strings.Fields(value)...)
		}
	}
	for _, id := range ids {
		if tool, ok := tools[id]; ok {
			return Sudo(tool + " " + pkg)
		}
	}
	return "install the package " + pkg
}

// tools installs a package, by the ID of os-release.
var tools = map[string]string{
	"debian": "apt install", "ubuntu": "apt install",
	"fedora": "dnf install", "rhel": "dnf install", "centos": "dnf install",
	"suse": "zypper install", "opensuse": "zypper install", "sles": "zypper install",
	"arch": "pacman -S", "alpine": "apk add",
}

// again brings back the files of a package that is installed already.
var again = map[string]string{
	"apt install": "apt install --reinstall", "dnf install": "dnf reinstall", "zypper install": "zypper install --force",
	"apk add": "apk fix",
}

// Missing is how a file of the package comes back that the daemon misses: its
// own package is there, since the daemon is, one with a further engine may not be.
func Missing(pkg string) string {
	if pkg == "kvstored" {
		return Again(pkg)
	}
	return Command(pkg)
}

// Again is how this machine brings back what is missing of a package.
func Again(pkg string) string { return reinstall(Command(pkg)) }

func reinstall(command string) string {
	for tool, anew := range again {
		if strings.Contains(command, tool+" ") {
			return strings.Replace(command, tool, anew, 1)
		}
	}
	return command
}

// Sudo is how this user runs a command that needs root.
func Sudo(line string) string {
	if os.Geteuid() == 0 {
		return line
	}
	return "sudo " + line
}

// ByUser is a command line of the daemon's, which knows nothing of who reads it,
// for this user: root needs no sudo, and may not have it.
func ByUser(lines string) string {
	if os.Geteuid() == 0 {
		return strings.ReplaceAll(lines, "sudo ", "")
	}
	return lines
}

// engines are the packages that bring engines, by the name of the file.
var engines = map[string]string{
	"libkvstore.so": "kvstored", "hash.so": "kvstored", "simple.so": "kvstored", "lmdb.so": "kvstored-engine-lmdb",
}

// Of is the package that brings the engine at path; "" for one that is not ours.
func Of(path string) string { return engines[filepath.Base(path)] }
