using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;

namespace Kcore.MutationGate;

/// <summary>A mutation that can't be made: its text is not there exactly once, or the result does not compile.</summary>
internal sealed class MutationException(string message) : Exception(message);

/// <summary>
/// Compiles one project the way its build does – same references, constants and generators, no analyzers – with texts
/// exchanged. The sources are read and bound once for all mutations, by the compiler of the SDK that built the project.
/// </summary>
internal sealed class ProjectCompiler
{
    private readonly CSharpCommandLineArguments _arguments;
    private readonly CSharpCompilation _unchanged;
    private readonly GeneratorDriver _generators;
    private readonly string _directory;

    private ProjectCompiler(string directory, CSharpCommandLineArguments arguments, CancellationToken token)
    {
        _directory = directory;
        _arguments = arguments;
        Assembly = arguments.OutputFileName!;
        _unchanged = CSharpCompilation.Create(
            arguments.CompilationName,
            arguments.SourceFiles.Select(file => Parse(file.Path, File.ReadAllText(file.Path))),
            arguments.MetadataReferences.Select(reference => MetadataReference.CreateFromFile(reference.Reference, reference.Properties)),
            arguments.CompilationOptions.WithGeneralDiagnosticOption(ReportDiagnostic.Suppress).WithConcurrentBuild(false));
        _generators = CSharpGeneratorDriver
            .Create(Generators(arguments), parseOptions: arguments.ParseOptions.WithFeatures([new("run-nullable-analysis", "never")]), optionsProvider: new BuildOptions(arguments))
            .RunGenerators(_unchanged, token);
    }

    /// <summary>File name of what is compiled.</summary>
    public string Assembly { get; }

    /// <summary>Asks the build for its command line; the project must have been built.</summary>
    public static async Task<ProjectCompiler> OfAsync(string repository, string project, string configuration, CancellationToken token)
    {
        string directory = Path.Combine(repository, project);
        ChildOutcome outcome = await Child.RunAsync(
            "dotnet",
            [
                "msbuild", Path.Combine(directory, project + ".csproj"), "-t:Compile", $"-p:Configuration={configuration}",
                "-p:SkipCompilerExecution=true", "-p:ProvideCommandLineArgs=true", "-p:BuildProjectReferences=false",
                "-p:NonExistentFile=none", "-getItem:CscCommandLineArgs",
            ],
            directory,
            TimeSpan.FromMinutes(2),
            token);
        if (outcome.ExitCode != 0)
        {
            throw new MutationException($"The build does not tell how {project} is compiled: {outcome.Output}");
        }

        using JsonDocument answer = JsonDocument.Parse(outcome.Output);
        CSharpCommandLineArguments arguments = CSharpCommandLineParser.Default.Parse(
            answer.RootElement.GetProperty("Items").GetProperty("CscCommandLineArgs").EnumerateArray().Select(item => item.GetProperty("Identity").GetString()!),
            directory,
            sdkDirectory: null);
        return arguments.SourceFiles.IsEmpty
            ? throw new MutationException($"The build gave no command line for {project}.")
            : new ProjectCompiler(directory, arguments, token);
    }

    /// <summary>Whether the edits apply, without compiling.</summary>
    /// <exception cref="MutationException">One does not.</exception>
    public void Check(ImmutableArray<Edit> edits) => edits.Aggregate(_unchanged, Apply);

    /// <summary>Compiles into <paramref name="folder"/>, with the edits applied.</summary>
    /// <exception cref="MutationException">An edit does not apply, or the result is no program.</exception>
    public void Compile(ImmutableArray<Edit> edits, string folder, CancellationToken token)
    {
        CSharpCompilation changed = edits.Aggregate(_unchanged, Apply);
        _generators.RunGeneratorsAndUpdateCompilation(changed, out Compilation whole, out _, token);
        Directory.CreateDirectory(folder);
        string path = Path.Combine(folder, Assembly);
        using FileStream output = File.Create(path);
        using FileStream symbols = File.Create(Path.ChangeExtension(path, ".pdb"));
        Microsoft.CodeAnalysis.Emit.EmitResult result = whole.Emit(
            output,
            symbols,
            manifestResources: _arguments.ManifestResources,
            options: _arguments.EmitOptions.WithPdbFilePath(Path.ChangeExtension(path, ".pdb")),
            cancellationToken: token);
        if (result.Diagnostics.FirstOrDefault(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error) is { } error)
        {
            throw new MutationException($"It does not compile: {error.GetMessage()} ({error.Location.GetLineSpan()})");
        }
    }

    private CSharpCompilation Apply(CSharpCompilation compilation, Edit edit)
    {
        (SyntaxTree Tree, string Text)[] places =
        [
            .. compilation.SyntaxTrees
                .Where(tree => !Path.GetRelativePath(_directory, tree.FilePath).StartsWith("obj/", StringComparison.Ordinal))
                .Select(tree => (tree, tree.ToString()))
                .Where(source => source.Item2.Contains(edit.Find, StringComparison.Ordinal)),
        ];
        string shown = edit.Find.Split('\n')[0].Trim();
        if (places is not [var (tree, text)])
        {
            throw new MutationException(places.Length == 0 ? $"Nowhere in the project stands: {shown}" : $"In {places.Length} files stands: {shown}");
        }

        return text.IndexOf(edit.Find, StringComparison.Ordinal) == text.LastIndexOf(edit.Find, StringComparison.Ordinal)
            ? compilation.ReplaceSyntaxTree(tree, Parse(tree.FilePath, text.Replace(edit.Find, edit.Replace, StringComparison.Ordinal)))
            : throw new MutationException($"More than once in {Path.GetFileName(tree.FilePath)} stands: {shown}");
    }

    // Nobody reads warnings here, and finding out where a value may be null is half of the compiler's work.
    private SyntaxTree Parse(string path, string text) =>
        CSharpSyntaxTree.ParseText(SourceText.From(text, Encoding.UTF8), _arguments.ParseOptions.WithFeatures([new("run-nullable-analysis", "never")]), path);

    // The build's analyzers come from packages; its generators from the framework, where they lie beside the references.
    private static IEnumerable<ISourceGenerator> Generators(CSharpCommandLineArguments arguments) => arguments.AnalyzerReferences
        .Where(reference => reference.FilePath.Contains(".App.Ref/", StringComparison.Ordinal))
        .SelectMany(reference => new AnalyzerFileReference(reference.FilePath, new Loader()).GetGenerators(LanguageNames.CSharp));

    private sealed class Loader : IAnalyzerAssemblyLoader
    {
        public void AddDependencyLocation(string fullPath)
        {
        }

        public System.Reflection.Assembly LoadFromPath(string fullPath) => System.Runtime.Loader.AssemblyLoadContext.Default.LoadFromAssemblyPath(fullPath);
    }

    /// <summary>What the build tells generators, by project and by file.</summary>
    private sealed class BuildOptions(CSharpCommandLineArguments arguments) : AnalyzerConfigOptionsProvider
    {
        private readonly AnalyzerConfigSet _set = AnalyzerConfigSet.Create(
            arguments.AnalyzerConfigPaths.Select(path => AnalyzerConfig.Parse(File.ReadAllText(path), path)).ToImmutableArray());

        public override AnalyzerConfigOptions GlobalOptions => new Values(_set.GlobalConfigOptions.AnalyzerOptions);

        public override AnalyzerConfigOptions GetOptions(SyntaxTree tree) => new Values(_set.GetOptionsForSourcePath(tree.FilePath).AnalyzerOptions);

        public override AnalyzerConfigOptions GetOptions(AdditionalText textFile) => new Values(_set.GetOptionsForSourcePath(textFile.Path).AnalyzerOptions);

        private sealed class Values(ImmutableDictionary<string, string> values) : AnalyzerConfigOptions
        {
            public override bool TryGetValue(string key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out string? value) => values.TryGetValue(key, out value);
        }
    }
}
