// Package system tests kvstored as it is installed: in a container with a
// real systemd, from the package built from this tree. It is run as root by
// `make test-system`; without the build tag `system` it holds nothing.
package system
