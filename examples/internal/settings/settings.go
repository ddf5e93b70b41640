// Package settings reads the configuration files of examples, and says what is wrong with
// them: file, setting, problem, what to write.
package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// An Error says what is wrong with a setting, and what to write.
type Error struct{ Setting, Problem string }

func (e *Error) Error() string { return e.Setting + ": " + e.Problem }

// A Setting as it is written: a text, a list, or pairs.
type Setting struct {
	Name string
	yaml.Node
}

// ReadFile sets the fields of a struct that have the tag "setting", by what stands in a file; a
// "setting,path" is one from the folder of the file. It is YAML if its name ends with .yaml or
// .yml, else INI, of which the section counts. Fields of types that are not known here are for
// more. Errors begin with the name of the file.
func ReadFile(path, section string, target any, more func(field any, s *Setting) error) error {
	text, err := os.ReadFile(path) //nolint:gosec // G304: it is the operator's
	if err != nil {
		return err
	}
	var list []Setting
	if ext := filepath.Ext(path); ext == ".yaml" || ext == ".yml" {
		list, err = parseYAML(text)
	} else {
		list, err = parseINI(string(text), section)
	}
	if err == nil {
		err = fill(target, list, filepath.Dir(path), more)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}

// parseYAML takes a mapping; the library refuses keys that are there twice.
func parseYAML(text []byte) (list []Setting, err error) {
	var doc yaml.Node
	var twice map[string]any
	if err = yaml.Unmarshal(text, &doc); err == nil {
		err = yaml.Unmarshal(text, &twice)
	}
	switch {
	case err != nil:
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
	case len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode:
		return nil, errors.New("it has no settings: write lines of name: value")
	}
	for pairs := doc.Content[0].Content; len(pairs) > 1; pairs = pairs[2:] {
		list = append(list, Setting{pairs[0].Value, *pairs[1]})
	}
	return list, nil
}

// parseINI reads what Python's configparser reads: a value goes on in lines that are indented,
// and lines that begin with # or ; are comments. Other sections are for other programs.
func parseINI(text, wanted string) (list []Setting, err error) {
	section, seen := "["+wanted+"]", map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		name, value, ok := strings.Cut(trimmed, "=")
		name = strings.TrimSpace(name)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case line[0] == '[' && strings.HasSuffix(trimmed, "]"):
			section = trimmed
		case section != "["+wanted+"]":
		case line[0] == ' ' || line[0] == '\t':
			if len(list) == 0 {
				return nil, fmt.Errorf("line %d: it is indented, and goes on with nothing: move it to the left", n+1)
			}
			last := &list[len(list)-1]
			last.Value = strings.TrimPrefix(last.Value+"\n"+trimmed, "\n")
		case !ok || name == "":
			return nil, fmt.Errorf("line %d: it is no setting: write name = value", n+1)
		case name == "use": // which names the program to pserve
		case seen[name]:
			return nil, &Error{name, "it is there twice: leave one"}
		default:
			seen[name] = true
			list = append(list, Setting{name, yaml.Node{Kind: yaml.ScalarNode, Value: strings.TrimSpace(value)}})
		}
	}
	return list, nil
}

func fill(target any, list []Setting, directory string, more func(any, *Setting) error) error {
	v, fields, paths := reflect.ValueOf(target).Elem(), map[string]any{}, map[string]bool{}
	for i := range v.NumField() {
		if name, kind, _ := strings.Cut(v.Type().Field(i).Tag.Get("setting"), ","); name != "" {
			fields[name], paths[name] = v.Field(i).Addr().Interface(), kind == "path"
		}
	}
	for i := range list {
		s := &list[i]
		field, ok := fields[s.Name]
		if !ok {
			return &Error{s.Name, "it is not known: " + instead(s.Name, fields)}
		}
		if s.Kind == yaml.ScalarNode && s.Value != "" && paths[s.Name] {
			s.Value = from(directory, s.Value)
		}
		if err := s.set(field, more); err != nil {
			return &Error{s.Name, err.Error()}
		}
	}
	return nil
}

// instead names a setting only if that is what was meant: pserve has others, such as debug.
func instead(name string, known map[string]any) string {
	if best := Nearest(name, known); distance(name, best) <= len(name)/2 {
		return "write " + best
	}
	return "leave it out"
}

// from takes "%(here)s" too, as pserve does.
func from(directory, path string) string {
	if filepath.IsAbs(path) || strings.Contains(path, "%(here)s") {
		return strings.ReplaceAll(path, "%(here)s", directory)
	}
	return filepath.Join(directory, path)
}

func (s *Setting) set(target any, more func(any, *Setting) error) (err error) {
	switch target := target.(type) {
	case *string:
		*target, err = s.text()
	case *bool:
		*target, err = parse(s, strconv.ParseBool, "write true or false")
	case *float64:
		*target, err = parse(s, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }, "write a number greater than 0, such as 5")
	case *time.Duration:
		*target, err = parse(s, seconds, "write a number of seconds greater than 0, such as 300")
	case *[]string:
		*target, err = s.lines()
	default:
		return more(target, s)
	}
	return err
}

// text is of one line.
func (s *Setting) text() (string, error) {
	if s.Kind != yaml.ScalarNode || s.Value == "" || strings.Contains(s.Value, "\n") {
		return "", errors.New("it has no value, or more than one: write one")
	}
	return s.Value, nil
}

// parse reads a value that is positive, if it is a number: 0 is what is not there.
func parse[T comparable](s *Setting, read func(string) (T, error), hint string) (value T, err error) {
	text, err := s.text()
	if err != nil {
		return value, err
	}
	value, err = read(text)
	if zero := value == *new(T) && hint != "write true or false"; err != nil || zero || text[0] == '-' {
		return value, fmt.Errorf("%.20q is not possible: %s", text, hint)
	}
	return value, nil
}

func seconds(text string) (time.Duration, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return time.Duration(n) * time.Second, err
}

func (s *Setting) lines() (list []string, err error) {
	if s.Kind == yaml.ScalarNode {
		list = strings.Fields(s.Value) // as Pyramid's aslist does
	} else {
		err = s.Decode(&list)
	}
	switch {
	case err != nil || len(list) == 0:
		return nil, errors.New("it is no list: write one value in a line, indented")
	case slices.Contains(list, ""):
		return nil, errors.New("it has an empty value: leave it out")
	case s.Kind == yaml.ScalarNode && strings.Contains(s.Value, ","):
		return nil, errors.New("it has a comma: write one value in a line, indented, without commas")
	}
	return list, nil
}

// Values returns what is a mapping to values or lists of them, or lines of name = value, of which
// those with one name are a list.
func (s *Setting) Values() (map[string]any, error) {
	values := map[string]any{}
	if s.Kind == yaml.MappingNode {
		if err := s.Decode(&values); err != nil {
			return nil, errors.New("it cannot be read: write name: value in each line, indented")
		}
		return values, nil
	}
	err := s.Pairs(func(name, value string) {
		list, _ := values[name].([]any)
		values[name] = append(list, value)
	})
	return values, err
}

// Pairs hands over what is a mapping, or lines of name = value.
func (s *Setting) Pairs(add func(name, value string)) error {
	for pairs := s.Content; s.Kind == yaml.MappingNode && len(pairs) > 1; pairs = pairs[2:] {
		if pairs[1].Kind != yaml.ScalarNode || pairs[1].Value == "" {
			return fmt.Errorf("%s has no single value: write one", pairs[0].Value)
		}
		add(pairs[0].Value, pairs[1].Value)
	}
	if s.Kind == yaml.MappingNode {
		return nil
	}
	for line := range strings.SplitSeq(s.Value, "\n") {
		name, value, ok := strings.Cut(line, "=")
		if name, value = strings.TrimSpace(name), strings.TrimSpace(value); !ok || name == "" || value == "" {
			return errors.New("it has a line that is no pair: write name = value in each line, indented")
		}
		add(name, value)
	}
	return nil
}
