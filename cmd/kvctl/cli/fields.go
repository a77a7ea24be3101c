package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kvstored/pkg/repair"
)

// jsonFlag is --json: alone it asks for JSON, with a value for some fields of
// it, or, where the value is empty, for the list of them.
type jsonFlag struct{ app *app }

// String is the value for messages.
func (j jsonFlag) String() string { return "" }

// Type is the kind of value.
func (j jsonFlag) Type() string { return "fields" }

// Set takes the value.
func (j jsonFlag) Set(value string) error {
	j.app.json = value != "false"
	if value == "true" || value == "false" {
		return nil
	}
	j.app.fields = []string{}
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			j.app.fields = append(j.app.fields, name)
		}
	}
	return nil
}

// jsonObjects are what the commands of kvctl print with --json, by their names
// behind kvctl.
var jsonObjects = map[string][]any{
	"top": {sample{}}, "stat": {sample{}}, "latency": {times{}}, "bench": {benchResult{}},
	"keys": {branchObject{}, hotKey{}}, "watch": {change{}}, "subscribe": {message{}}, "monitor": {monitored{}},
	"import": {loadResult{}}, "export": {exportResult{}}, "doctor": {diagnosis{}},
	"engine wait": {stage{}}, "engine repair": {repair.Report{}},
}

// JSONFields are the names in the objects that a command prints with --json,
// in their order; nil for a command that prints none or what the server answers.
func JSONFields(cmd *cobra.Command) []string {
	var names []string
	for _, object := range jsonObjects[strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")] {
		for field := range reflect.TypeOf(object).Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" && name != "-" && field.IsExported() && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// checkFields holds the fields that were asked for against those there are; it
// prints them where none was named.
func (a *app) checkFields(cmd *cobra.Command) error {
	known := JSONFields(cmd)
	if len(known) == 0 {
		return failure{what: "--json=" + strings.Join(a.fields, ",") + ": there are no fields to choose from",
			why: "only commands of kvctl's own have some; what others print is up to the server", fix: "--jq EXPRESSION", code: ExitUsage}
	}
	if len(a.fields) == 0 {
		for _, name := range known {
			fmt.Fprintln(a.out, name)
		}
		return quiet(ExitOK)
	}
	for _, name := range a.fields {
		if !slices.Contains(known, name) {
			return failure{what: "--json=" + name + ": " + cmd.CommandPath() + " has no such field",
				why: "the fields are " + strings.Join(known, ", "), fix: cmd.CommandPath() + " --json=FIELD,…", code: ExitUsage}
		}
	}
	return nil
}

// listFields prints the fields of all commands: what --json alone asks for.
func (a *app) listFields(root *cobra.Command) {
	fmt.Fprintln(a.out, "the fields of --json; --json=FIELD,… prints some of them, --jq EXPRESSION any part")
	rows := [][2]string{{"COMMAND of the server", "value, encoding; kvctl help json says more"}, {"engine status", "those of the command ENGINE STATUS"}}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if names := JSONFields(cmd); names != nil {
			rows = append(rows, [2]string{strings.TrimPrefix(cmd.CommandPath(), root.Name()+" "), strings.Join(names, ", ")})
		}
		for _, child := range Children(cmd) {
			walk(child)
		}
	}
	walk(root)
	a.rows(rows)
}

// picked is an object, or each of an array, with only the fields asked for.
func (a *app) picked(data []byte) ([]byte, error) {
	if len(a.fields) == 0 {
		return data, nil
	}
	if data[0] == '[' {
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil {
			return nil, err
		}
		for i := range items {
			some, err := a.picked(items[i])
			if err != nil {
				return nil, err
			}
			items[i] = some
		}
		return json.Marshal(items)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for i, name := range a.fields {
		value := all[name]
		if value == nil {
			value = json.RawMessage("null")
		}
		b.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&b, "%q:%s", name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
