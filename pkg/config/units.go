package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// sizeUnits are powers of 1024, as in systemd's memory settings.
var sizeUnits = []struct {
	letter string
	bytes  int64
}{{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"B", 1}}

// timeUnits, longer names before their own beginnings.
var timeUnits = []struct {
	name string
	d    time.Duration
}{
	{"min", time.Minute}, {"ms", time.Millisecond}, {"sec", time.Second},
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour},
}

// ParseSize reads a number of bytes: 4096, 64K, 1.5G.
func ParseSize(text string) (int64, error) {
	number, factor := text, int64(1)
	for _, unit := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, unit.letter); ok {
			number, factor = strings.TrimSpace(rest), unit.bytes
			break
		}
	}
	n, err := parseNumber(number, float64(factor))
	if err != nil {
		return 0, errors.New("not a size")
	}
	return int64(n), nil
}

// Memory is an amount of memory: bytes, or a percentage of what there is.
type Memory struct {
	Bytes   int64
	Percent int // 0: Bytes counts
}

// ParseMemory reads 0, 512M or 60%.
func ParseMemory(text string) (Memory, error) {
	if number, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil || n < 1 || n > 100 {
			return Memory{}, errors.New("not a percentage from 1% to 100%")
		}
		return Memory{Percent: n}, nil
	}
	n, err := ParseSize(text)
	return Memory{Bytes: n}, err
}

// Of is the amount in bytes when there is so much in all.
func (m Memory) Of(all int64) int64 {
	if m.Percent == 0 {
		return m.Bytes
	}
	return all / 100 * int64(m.Percent)
}

// String is bytes, or a percentage.
func (m Memory) String() string {
	if m.Percent != 0 {
		return strconv.Itoa(m.Percent) + "%"
	}
	return strconv.FormatInt(m.Bytes, 10)
}

// ParseTime reads a span of time as systemd does: 10 (seconds), 500ms,
// 1min 30s.
func ParseTime(text string) (time.Duration, error) {
	if n, err := parseNumber(text, float64(time.Second)); err == nil {
		return time.Duration(n), nil
	}
	bad := errors.New("not a time")
	var total float64
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789."))
		number := text[:digits]
		text = strings.TrimLeft(text[digits:], " ")
		name, d := cutTimeUnit(text)
		n, err := parseNumber(number, float64(d))
		if name == "" || err != nil {
			return 0, bad
		}
		total += n
		text = text[len(name):]
	}
	if total == 0 || total > math.MaxInt64 {
		return 0, bad
	}
	return time.Duration(total), nil
}

// cutTimeUnit gives the unit that text begins with, or "".
func cutTimeUnit(text string) (string, time.Duration) {
	letters := len(text) - len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz"))
	for _, unit := range timeUnits {
		if text[:letters] == unit.name {
			return unit.name, unit.d
		}
	}
	return "", 0
}

// parseNumber reads digits with at most one point, times factor.
func parseNumber(text string, factor float64) (float64, error) {
	if text == "" || strings.Trim(text, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n*factor >= math.MaxInt64 {
		return 0, strconv.ErrRange
	}
	return n * factor, nil
}

// FormatSize is the shortest exact way to write a size.
func FormatSize(n int64) string {
	for _, unit := range sizeUnits {
		if n >= unit.bytes && n%unit.bytes == 0 && unit.bytes > 1 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.letter
		}
	}
	return strconv.FormatInt(n, 10)
}

// FormatTime writes a span in the largest unit that is exact.
func FormatTime(d time.Duration) string {
	switch {
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "min"
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	default:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
}
