package engine

import (
	"strconv"
	"strings"
)

// AtLeast says whether a version like v1.30.4+k3s1 is of this release or a later one.
func AtLeast(version string, major, minor, patch int) bool {
	var numbers [3]int
	text, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "+")
	for index, part := range strings.SplitN(text, ".", 3) {
		numbers[index], _ = strconv.Atoi(part)
	}
	for index, wanted := range []int{major, minor, patch} {
		if numbers[index] != wanted {
			return numbers[index] > wanted
		}
	}
	return true
}
