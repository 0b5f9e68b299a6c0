package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed scenarios/*.yaml
var builtin embed.FS

const (
	maxFile = 1 << 20
	maxList = 1000 // entries of a list
)

// Builtin returns the scenarios that come with Carom, by name.
func Builtin() ([]Scenario, error) {
	entries, err := builtin.ReadDir("scenarios")
	if err != nil {
		return nil, err
	}
	var all []Scenario
	for _, entry := range entries {
		text, err := builtin.ReadFile(path.Join("scenarios", entry.Name()))
		if err != nil {
			return nil, err
		}
		s, err := parse(entry.Name(), text)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Load reads the built-in scenario of that name, or else the file.
func Load(name string) (Scenario, error) {
	all, err := Builtin()
	if err != nil {
		return Scenario{}, err
	}
	if i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name }); i >= 0 {
		return all[i], nil
	}
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) && isName(name) {
		return Scenario{}, fmt.Errorf("%s: no such file, and no built-in scenario: --list names those", name)
	}
	if err != nil {
		return Scenario{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Scenario{}, err
	}
	if len(text) > maxFile {
		return Scenario{}, fmt.Errorf("%s: want a file of at most %d bytes", name, maxFile)
	}
	return parse(name, text)
}

// parse reads a scenario. Errors name the file, the line and the field.
func parse(file string, text []byte) (Scenario, error) {
	s := Default()
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) == 0 {
		return s, fmt.Errorf("%s: is empty: want a scenario", file)
	}
	d := decoder{lines: make(map[string]int)}
	err := d.decode("", document.Content[0], reflect.ValueOf(&s).Elem())
	if err == nil {
		err = s.Validate()
	}
	var f *fault
	if errors.As(err, &f) {
		return s, fmt.Errorf("%s:%d: %w", file, d.line(f.path), f)
	}
	return s, err
}

// decoder fills a scenario from YAML and remembers where each field stands.
type decoder struct{ lines map[string]int }

// line is where a field stands, or the nearest one around it.
func (d *decoder) line(path string) int {
	for {
		if n, ok := d.lines[path]; ok {
			return n
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return 1
		}
		path = path[:cut]
	}
}

func (d *decoder) decode(path string, n *yaml.Node, into reflect.Value) error {
	d.lines[path] = n.Line
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return wrong(path, "anchors and aliases are not taken")
	case into.Kind() == reflect.Struct:
		return d.decodeStruct(path, n, into)
	case into.Kind() == reflect.Slice:
		return d.decodeList(path, n, into)
	case n.Kind != yaml.ScalarNode:
		return wrong(path, "want one value")
	}
	return decodeScalar(path, n, into)
}

func (d *decoder) decodeStruct(path string, n *yaml.Node, into reflect.Value) error {
	if n.Kind != yaml.MappingNode {
		return wrong(path, "want fields with their values")
	}
	fields := make(map[string]reflect.Value)
	for i := range into.NumField() {
		fields[into.Type().Field(i).Tag.Get("yaml")] = into.Field(i)
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		below := strings.TrimPrefix(path+"."+name, ".")
		d.lines[below] = n.Content[i].Line
		field, ok := fields[name]
		if !ok {
			return wrong(below, "there is no such field")
		}
		if seen[name] {
			return wrong(below, "stands here twice")
		}
		seen[name] = true
		if err := d.decode(below, n.Content[i+1], field); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) decodeList(path string, n *yaml.Node, into reflect.Value) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxList {
		return wrong(path, "want a list of at most %d entries", maxList)
	}
	list := reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content))
	for i, entry := range n.Content {
		if into.Type().Elem() == reflect.TypeFor[Sender]() {
			list.Index(i).Set(reflect.ValueOf(defaultSender()))
		}
		if err := d.decode(fmt.Sprintf("%s[%d]", path, i), entry, list.Index(i)); err != nil {
			return err
		}
	}
	into.Set(list)
	return nil
}

func decodeScalar(path string, n *yaml.Node, into reflect.Value) error {
	switch p := into.Addr().Interface().(type) {
	case *string:
		*p = n.Value
	case *time.Duration:
		v, err := time.ParseDuration(n.Value)
		if err != nil {
			return wrong(path, "%q: want a duration such as 90s or 2h", n.Value)
		}
		*p = v
	case *int:
		v, err := strconv.Atoi(n.Value)
		if err != nil {
			return wrong(path, "%q: want a whole number", n.Value)
		}
		*p = v
	case *uint64:
		v, err := strconv.ParseUint(n.Value, 10, 64)
		if err != nil {
			return wrong(path, "%q: want a whole number from 0", n.Value)
		}
		*p = v
	case *float64:
		v, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return wrong(path, "%q: want a number", n.Value)
		}
		*p = v
	default:
		panic("BUG: scenario: a field of type " + into.Type().String())
	}
	return nil
}
