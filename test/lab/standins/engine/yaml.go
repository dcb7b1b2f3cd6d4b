package engine

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// ParseYAML reads the part of YAML that configuration files are written in: block mappings and sequences, flow ones on one line, plain and
// quoted scalars, comments. Anything else is an error, and so is a key that is there twice. Mappings become map[string]any, sequences
// []any, scalars string, bool, int64 or nil.
func ParseYAML(text string) (any, error) {
	parser := &yamlParser{}
	for number, line := range strings.Split(text, "\n") {
		body := strings.TrimRight(withoutComment(line), " \t\r")
		if strings.TrimSpace(body) == "" || (strings.TrimSpace(body) == "---" && len(parser.lines) == 0) {
			continue
		}
		indent := len(body) - len(strings.TrimLeft(body, " "))
		if strings.HasPrefix(body[indent:], "\t") {
			return nil, fmt.Errorf("line %d: a tab at the beginning", number+1)
		}
		parser.lines = append(parser.lines, yamlLine{indent, body[indent:], number + 1})
	}
	if len(parser.lines) == 0 {
		return nil, nil
	}
	value, err := parser.block(parser.lines[0].indent)
	if err != nil {
		return nil, err
	}
	if parser.at < len(parser.lines) {
		return nil, fmt.Errorf("line %d: wrong indentation", parser.lines[parser.at].number)
	}
	return value, nil
}

// ParseYAMLMap is ParseYAML of a file that is a mapping; an empty one has no keys.
func ParseYAMLMap(text string) (map[string]any, error) {
	value, err := ParseYAML(text)
	if err != nil || value == nil {
		return map[string]any{}, err
	}
	mapping, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not a mapping")
	}
	return mapping, nil
}

type yamlLine struct {
	indent int
	text   string
	number int
}

type yamlParser struct {
	lines []yamlLine
	at    int
}

func (p *yamlParser) block(indent int) (any, error) {
	if isItem(p.lines[p.at].text) {
		return p.sequence(indent)
	}
	if _, _, ok := splitKey(p.lines[p.at].text); ok {
		return p.mapping(indent)
	}
	line := p.lines[p.at]
	p.at++
	value, err := scalar(line.text)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", line.number, err)
	}
	return value, nil
}

func (p *yamlParser) sequence(indent int) (any, error) {
	items := []any{}
	for p.at < len(p.lines) && p.lines[p.at].indent == indent && isItem(p.lines[p.at].text) {
		line := p.lines[p.at]
		rest := strings.TrimLeft(line.text[1:], " ")
		if rest == "" {
			p.at++
			value, err := p.nested(indent)
			if err != nil {
				return nil, err
			}
			items = append(items, value)
			continue
		}
		// What follows the dash is a block of its own that begins there.
		inner := indent + len(line.text) - len(rest)
		p.lines[p.at] = yamlLine{inner, rest, line.number}
		value, err := p.block(inner)
		if err != nil {
			return nil, err
		}
		items = append(items, value)
	}
	return items, nil
}

func (p *yamlParser) mapping(indent int) (any, error) {
	result := map[string]any{}
	for p.at < len(p.lines) && p.lines[p.at].indent == indent {
		line := p.lines[p.at]
		key, rest, ok := splitKey(line.text)
		if !ok || isItem(line.text) {
			return nil, fmt.Errorf("line %d: not KEY: VALUE", line.number)
		}
		if _, twice := result[key]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", line.number, key)
		}
		p.at++
		var value any
		var err error
		switch {
		case rest != "":
			if value, err = scalar(rest); err != nil {
				err = fmt.Errorf("line %d: %w", line.number, err)
			}
		case p.at < len(p.lines) && p.lines[p.at].indent == indent && isItem(p.lines[p.at].text):
			value, err = p.sequence(indent)
		default:
			value, err = p.nested(indent)
		}
		if err != nil {
			return nil, err
		}
		result[key] = value
	}
	return result, nil
}

func (p *yamlParser) nested(indent int) (any, error) {
	if p.at >= len(p.lines) || p.lines[p.at].indent <= indent {
		return nil, nil
	}
	return p.block(p.lines[p.at].indent)
}

func isItem(text string) bool { return text == "-" || strings.HasPrefix(text, "- ") }

func splitKey(text string) (key, rest string, ok bool) {
	if strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "'") {
		end := strings.Index(text[1:], text[:1])
		if end < 0 || !strings.HasPrefix(text[end+2:], ":") {
			return "", "", false
		}
		return text[1 : end+1], strings.TrimSpace(text[end+3:]), true
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return "", "", false
	}
	if strings.HasSuffix(text, ":") && !strings.Contains(text, ": ") {
		return strings.TrimSuffix(text, ":"), "", true
	}
	key, rest, ok = strings.Cut(text, ": ")
	return key, strings.TrimSpace(rest), ok
}

func scalar(text string) (any, error) {
	switch {
	case strings.HasPrefix(text, `"`):
		var value string
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("%s is no quoted text", text)
		}
		return value, nil
	case strings.HasPrefix(text, "'"):
		if len(text) < 2 || !strings.HasSuffix(text, "'") {
			return nil, fmt.Errorf("%s is no quoted text", text)
		}
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'"), nil
	case strings.HasPrefix(text, "["), strings.HasPrefix(text, "{"):
		return flow(text)
	case strings.HasPrefix(text, "|"), strings.HasPrefix(text, ">"), strings.HasPrefix(text, "&"), strings.HasPrefix(text, "*"):
		return nil, fmt.Errorf("%s is not understood here", text)
	case text == "true":
		return true, nil
	case text == "false":
		return false, nil
	case text == "null" || text == "~":
		return nil, nil
	}
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number, nil
	}
	return text, nil
}

// flow reads what is JSON, or a list of plain words.
func flow(text string) (any, error) {
	var value any
	if json.Unmarshal([]byte(text), &value) == nil {
		return numbers(value), nil
	}
	if !strings.HasPrefix(text, "[") || !strings.HasSuffix(text, "]") || strings.ContainsAny(text[1:], "[{") {
		return nil, fmt.Errorf("%s is not understood here", text)
	}
	items := []any{}
	for _, word := range strings.Split(text[1:len(text)-1], ",") {
		item, err := scalar(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func numbers(value any) any {
	switch typed := value.(type) {
	case float64:
		return int64(typed)
	case []any:
		for index := range typed {
			typed[index] = numbers(typed[index])
		}
	case map[string]any:
		for key := range typed {
			typed[key] = numbers(typed[key])
		}
	}
	return value
}

func withoutComment(line string) string {
	var quote rune
	for index, char := range line {
		switch {
		case quote != 0:
			if char == quote {
				quote = 0
			}
		case char == '"' || char == '\'':
			quote = char
		case char == '#' && (index == 0 || line[index-1] == ' ' || line[index-1] == '\t'):
			return line[:index]
		}
	}
	return line
}
