package command

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

func TestManualIsUpToDate(t *testing.T) {
	const path = "../../docs/commands.md"
	if *update {
		if err := os.WriteFile(path, []byte(Manual()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Manual() {
		t.Errorf("%s is not what the command table makes of it; go generate ./pkg/command", path)
	}
}
