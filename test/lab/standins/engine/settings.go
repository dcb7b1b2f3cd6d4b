package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

// Kind of the value of a setting.
type Kind int

const (
	Text Kind = iota
	List
	Flag
)

// Settings are the values of flags and of a configuration file with the same names. What is not known is refused: the real programs refuse
// unknown flags, too, and some of them pass over unknown keys of a file, which would hide a mistake here.
type Settings struct {
	known  map[string]Kind
	values map[string][]string
}

// NewSettings knows these names.
func NewSettings(known map[string]Kind) *Settings {
	return &Settings{known, map[string][]string{}}
}

// ReadFile adds the keys of a YAML file; one that is not there has none.
func (s *Settings) ReadFile(file string) error {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	keys, err := ParseYAMLMap(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for key, value := range keys {
		values, ok := value.([]any)
		if !ok {
			values = []any{value}
		}
		for _, one := range values {
			if err := s.set(key, fmt.Sprint(one)); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// ParseFlags takes `--name=value`, `--name value` and `--name` of flags without a value, and gives what is none of these.
func (s *Settings) ParseFlags(args []string) (rest []string, err error) {
	given := map[string]bool{}
	for index := 0; index < len(args); index++ {
		if !strings.HasPrefix(args[index], "-") || args[index] == "-" {
			rest = append(rest, args[index])
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(args[index], "-"), "=")
		kind, known := s.known[name]
		if !known {
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		}
		switch {
		case kind == Flag && !has:
			value = "true"
		case !has:
			index++
			if index == len(args) {
				return nil, fmt.Errorf("flag needs an argument: -%s", name)
			}
			value = args[index]
		}
		// A flag wins over the file; of a list it is one more.
		if kind != List && !given[name] {
			delete(s.values, name)
		}
		given[name] = true
		if err := s.set(name, value); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (s *Settings) set(name, value string) error {
	kind, known := s.known[name]
	switch {
	case !known:
		return fmt.Errorf("unknown key %s", name)
	case kind != List && len(s.values[name]) > 0:
		return fmt.Errorf("%s has more than one value", name)
	case kind == Flag && value != "true" && value != "false":
		return fmt.Errorf("%s must be true or false, not %q", name, value)
	}
	s.values[name] = append(s.values[name], value)
	return nil
}

// Text is the value of a setting, or what it is without one.
func (s *Settings) Text(name, otherwise string) string {
	s.must(name, Text)
	if values := s.values[name]; len(values) > 0 {
		return values[0]
	}
	return otherwise
}

// List is all values of a setting.
func (s *Settings) List(name string) []string {
	s.must(name, List)
	return s.values[name]
}

// Flag says whether a setting is on.
func (s *Settings) Flag(name string) bool {
	s.must(name, Flag)
	return len(s.values[name]) > 0 && s.values[name][0] == "true"
}

// Arguments are all settings as a list of words, in JSON, behind that of a command; those that are secret without their values.
func (s *Settings) Arguments(command string, secret ...string) string {
	names := make([]string, 0, len(s.values))
	for name := range s.values {
		names = append(names, name)
	}
	sort.Strings(names)
	words := []string{command}
	for _, name := range names {
		for _, value := range s.values[name] {
			for _, one := range secret {
				if one == name {
					value = "********"
				}
			}
			words = append(words, "--"+name, value)
		}
	}
	text, err := json.Marshal(words)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (s *Settings) must(name string, kind Kind) {
	if known, ok := s.known[name]; !ok || known != kind {
		panic("asked for a setting that is not declared like this: " + name)
	}
}
