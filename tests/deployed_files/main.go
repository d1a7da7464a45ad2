// deployed-files kubernetes: reads Kubernetes objects (YAML) on standard input, and
// fails if one has an unknown field, a field twice or a value of another type, as an API
// server does with strict validation.
//
// deployed-files compose FILE…: reads compose files as `docker compose config` does.
//
// deployed-files dockerfile FILE: reads a Dockerfile as `docker build` does, and fails at
// what BuildKit warns of.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func readObjects() (int, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme,
		policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	factory := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	reader := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for count := 0; ; count++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err == nil {
			_, _, err = factory.UniversalDeserializer().Decode(document, nil, nil)
		}
		if err != nil {
			return count, fmt.Errorf("object %d: %w", count+1, err)
		}
	}
}

func readCompose(paths []string) (int, error) {
	options, err := cli.NewProjectOptions(
		paths,
		cli.WithWorkingDirectory(filepath.Dir(paths[0])),
		cli.WithOsEnv,
		cli.WithProfiles([]string{"*"}),
	)
	if err != nil {
		return 0, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return 0, err
	}
	return len(project.Services), nil
}

func readDockerfile(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	read, err := parser.Parse(file)
	if err != nil {
		return 0, err
	}
	var warned []error
	for _, warning := range read.Warnings {
		warned = append(warned, errors.New(warning.Short))
	}
	rules := linter.New(&linter.Config{
		Warn: func(rule, description, url, text string, at []parser.Range) {
			warned = append(warned, fmt.Errorf("%s: %s", rule, text))
		},
	})
	stages, _, err := instructions.Parse(read.AST, rules)
	return len(stages), errors.Join(append(warned, err)...)
}

func main() {
	var count int
	err := errors.New("expected: kubernetes, compose FILE… or dockerfile FILE")
	if len(os.Args) == 2 && os.Args[1] == "kubernetes" {
		count, err = readObjects()
	} else if len(os.Args) >= 3 && os.Args[1] == "compose" {
		count, err = readCompose(os.Args[2:])
	} else if len(os.Args) == 3 && os.Args[1] == "dockerfile" {
		count, err = readDockerfile(os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(count)
}
