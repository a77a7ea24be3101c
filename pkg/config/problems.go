package config

import (
	"errors"
	"io/fs"
	"sort"
	"strconv"
	"strings"
)

// Problem is one mistake in the configuration.
type Problem struct {
	File string // with Line, or Flag
	Line int    // 0: the file as a whole
	Flag string
	What string
	Fix  string
}

// Error is the place and the mistake.
func (p Problem) Error() string {
	switch {
	case p.File == "":
		return p.Flag + ": " + p.What
	case p.Line == 0:
		return p.File + ": " + p.What
	default:
		return p.File + ":" + strconv.Itoa(p.Line) + ": " + p.What
	}
}

// Problems is every mistake that was found: what Load returns as its error.
type Problems []Problem

// Error gives the first mistake and how many more there are.
func (p Problems) Error() string {
	if len(p) == 1 {
		return p[0].Error()
	}
	return p[0].Error() + " (and " + strconv.Itoa(len(p)-1) + " more)"
}

// reason is the cause of a file error, without the path, which the problem
// names already.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// clip keeps what is quoted from a file short and printable.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "..."
	}
	return text
}

// hint names the two habits from other files that do not work here.
func hint(value string) string {
	switch {
	case strings.ContainsAny(value, "\"'"):
		return "; quotes are not used"
	case strings.ContainsAny(value, "#;"):
		return "; a comment needs a line of its own"
	default:
		return ""
	}
}

// suggestKey proposes the key that was probably meant.
func suggestKey(key string) string {
	best, least := "", 4
	for i := range Settings {
		name := Settings[i].Name
		if d := distance(strings.ToLower(key), strings.ToLower(name)); d < least && d <= len(name)/2 {
			best, least = name, d
		}
	}
	if best != "" {
		return "did you mean " + best + "=?"
	}
	names := make([]string, 0, len(Settings))
	for i := range Settings {
		names = append(names, Settings[i].Name)
	}
	sort.Strings(names)
	return "the keys are " + strings.Join(names, ", ")
}

// distance is how many letters must be put in, taken out or exchanged.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		corner := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := corner
			if a[i-1] != b[j-1] {
				cost = min(corner, row[j], row[j-1]) + 1
			}
			corner, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
