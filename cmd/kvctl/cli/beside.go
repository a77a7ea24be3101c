package cli

import (
	"bytes"
	"encoding/hex"
	"hash"
	"os"
	"path/filepath"
	"strings"
)

// besideSuffix ends the name of the file that tells what a CSV file holds:
// nothing in CSV itself is passed over by its readers. sha256sum -c reads it, too.
const besideSuffix = ".sha256"

// writeBeside writes that file: digest is of the bytes of the file at path, s of
// its records.
func writeBeside(path string, digest hash.Hash, s sum) error {
	name := filepath.Base(path)
	text := "# " + respMark + ": " + s.text() + "\n"
	if escaped := strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(name); escaped != name {
		text += "\\" // as sha256sum marks such names
		name = escaped
	}
	text += hex.EncodeToString(digest.Sum(nil)) + "  " + name + "\n"
	if err := replaceFile(path+besideSuffix, []byte(text), 0o600); err != nil {
		return failure{what: "cannot write " + path + besideSuffix + ": " + errText(err), code: ExitUsage}
	}
	return nil
}

// claimBeside reads what writeBeside said of the file at path; nil if it said
// nothing.
func claimBeside(path string) *claim {
	text, err := os.ReadFile(path + besideSuffix)
	if err != nil {
		return nil
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	said, ours := strings.CutPrefix(string(first), "# "+respMark+": ")
	s, ok := sumOf(said)
	if !ours || !ok {
		return nil
	}
	return &claim{s.keys, s.String(), path + besideSuffix}
}

// beside is where a claim stands if that is a file of its own.
func beside(where string) string {
	if strings.HasSuffix(where, besideSuffix) {
		return where
	}
	return ""
}
