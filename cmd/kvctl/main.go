// kvctl speaks to kvstored, this machine's key-value store.
package main

import (
	"os"

	"kvstored/cmd/kvctl/cli"
)

// version is set by the linker.
var version = "development"

func main() {
	os.Exit(cli.Main(version))
}
