package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	envPrefix     = "CAROM_"
	maxConfigFile = 1 << 20
)

// foreignEnv are variables, with their values, that begin like ours and are not: of the project's tests, and those that
// Kubernetes puts into every container beside a service named carom. CAROM_TRACK_PORT=9000 is a mistake; Kubernetes
// writes tcp://192.0.2.1:9000.
var foreignEnv = regexp.MustCompile(`^CAROM_(CORPUS=|TEST_.*=|(.*_)?SERVICE_(HOST|PORT.*)=|(.*_)?PORT(=[a-z]+://|_\d+_(TCP|UDP|SCTP).*=))`)

// setting is one key of the config.
type setting struct {
	key   string // section.key
	doc   string
	tree  bool // a list that may also be written as a mapping
	value reflect.Value
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// settings lists every key of c, in the order of the structs; the values can be set.
func settings(c *Config) []setting {
	return appendSettings(nil, "", reflect.ValueOf(c).Elem())
}

func appendSettings(dst []setting, prefix string, section reflect.Value) []setting {
	for i := range section.NumField() {
		field := section.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		value := section.Field(i)
		if value.Kind() == reflect.Struct {
			dst = appendSettings(dst, prefix+name+".", value)
			continue
		}
		dst = append(dst, setting{key: prefix + name, doc: field.Tag.Get("doc"), tree: field.Tag.Get("form") == "tree", value: value})
	}
	return dst
}

// loadConfig puts the file (if one is named) over base, and the environment over both.
func loadConfig(base Config, file string, environ []string) (Config, error) {
	c := base
	all := settings(&c)
	if file != "" {
		if err := applyFile(all, file); err != nil {
			return Config{}, usageError{err}
		}
	}
	if err := applyEnv(all, environ); err != nil {
		return Config{}, usageError{err}
	}
	return c, nil
}

// applyFile reads a YAML file of sections and keys.
func applyFile(all []setting, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	if len(data) > maxConfigFile {
		return fmt.Errorf("read config: %s is larger than %d bytes", file, maxConfigFile)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("read config %s: %w", file, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read config %s: more than one YAML document: want one", file)
	}
	if err := applyNode(all, "", root.Content[0]); err != nil {
		return fmt.Errorf("read config %s: %w", file, err)
	}
	return nil
}

// applyNode walks a mapping; prefix is "" or "section.".
func applyNode(all []setting, prefix string, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %s: want keys and values", node.Line, strings.TrimSuffix(prefix, "."))
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := prefix+node.Content[i].Value, node.Content[i+1]
		if seen[key] {
			return fmt.Errorf("line %d: %s: is given twice", node.Content[i].Line, key)
		}
		seen[key] = true
		at := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
		switch {
		case at >= 0:
			text, err := settingText(&all[at], value)
			if err == nil {
				err = setValue(all[at], text)
			}
			if err != nil {
				return fmt.Errorf("line %d: %s: %w", value.Line, key, err)
			}
		case slices.ContainsFunc(all, func(s setting) bool { return strings.HasPrefix(s.key, key+".") }):
			if err := applyNode(all, key+".", value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("line %d: unknown key %s%s", node.Content[i].Line, key, suggest(key, all, func(s setting) string { return s.key }))
		}
	}
	return nil
}

// settingText returns a setting's value as the environment would give it.
func settingText(s *setting, node *yaml.Node) (string, error) {
	if !s.tree || node.Kind != yaml.MappingNode {
		return scalarText(node)
	}
	items, err := leaves(nil, "", node)
	return strings.Join(items, ","), err
}

// leaves appends what a tree of mappings has at its ends, as PATH=VALUE. In the path, names are percent-encoded where
// they have slashes or commas.
func leaves(dst []string, path string, node *yaml.Node) (_ []string, err error) {
	if node.Kind == yaml.MappingNode {
		if path != "" {
			path += "/"
		}
		for i := 0; i+1 < len(node.Content) && err == nil; i += 2 {
			dst, err = leaves(dst, path+url.PathEscape(node.Content[i].Value), node.Content[i+1])
		}
		return dst, err
	}
	text, err := scalarText(node)
	if err != nil || text == "" {
		return dst, err
	}
	for value := range strings.SplitSeq(text, ",") {
		dst = append(dst, path+"="+value)
	}
	return dst, nil
}

// scalarText returns a value as the environment would give it: lists joined by commas.
func scalarText(node *yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return "", nil
		}
		return node.Value, nil
	case yaml.SequenceNode:
		parts := make([]string, len(node.Content))
		for i, item := range node.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
				return "", fmt.Errorf("item %d: want plain values without commas", i+1)
			}
			parts[i] = item.Value
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("want a value or a list of values")
}

// applyEnv sets what variables of our prefix say, and refuses those that name no key.
func applyEnv(all []setting, environ []string) error {
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		at := slices.IndexFunc(all, func(s setting) bool { return s.env() == name })
		if at < 0 {
			if foreignEnv.MatchString(pair) {
				continue
			}
			return fmt.Errorf("unknown variable %s%s", name, suggest(name, all, setting.env))
		}
		if err := setValue(all[at], value); err != nil {
			return fmt.Errorf("%s (%s): %w", name, all[at].key, err)
		}
	}
	return nil
}

// setValue parses text into the setting; the error says what is allowed.
func setValue(s setting, text string) error {
	switch s.value.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q: want a duration such as 500ms, 12s, 72h", text)
		}
		s.value.SetInt(int64(d))
		return nil
	case []string:
		list := []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		s.value.Set(reflect.ValueOf(list))
		return nil
	}
	switch s.value.Kind() {
	case reflect.String:
		s.value.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q: want true or false", text)
		}
		s.value.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q: want a whole number", text)
		}
		s.value.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q: want a number", text)
		}
		s.value.SetFloat(f)
	default:
		panic("BUG: config key " + s.key + " has a type that the loader does not know")
	}
	return nil
}

// suggest names the known key that is nearest to a mistyped one, if any is near.
func suggest(got string, all []setting, name func(setting) string) string {
	best, distance := "", len(got)/3+1
	for _, s := range all {
		if d := editDistance(got, name(s)); d < distance {
			best, distance = name(s), d
		}
	}
	if best == "" {
		return "; 'carom serve --help' lists all"
	}
	return "; did you mean " + best + "?"
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
