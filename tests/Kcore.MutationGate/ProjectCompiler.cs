using System.Collections.Immutable;
using System.Text.Json;

namespace Kcore.MutationGate;

/// <summary>A mutation that can't be made: its text is not there exactly once, or the result does not compile.</summary>
internal sealed class MutationException(string message) : Exception(message);

/// <summary>
/// Compiles one project the way its build does – same references, constants and generators, no analyzers – with one
/// source file exchanged.
/// </summary>
internal sealed class ProjectCompiler
{
    private readonly string _directory;
    private readonly string _compiler;
    private readonly ImmutableArray<string> _arguments;
    private readonly ImmutableDictionary<string, string> _sources;

    private ProjectCompiler(string directory, string compiler, ImmutableArray<string> arguments)
    {
        _directory = directory;
        _compiler = compiler;
        _arguments = arguments;
        Assembly = Path.GetFileName(arguments.Single(argument => argument.StartsWith("/out:", StringComparison.Ordinal))["/out:".Length..]);
        _sources = arguments
            .Where(argument => argument.EndsWith(".cs", StringComparison.Ordinal) && argument[0] != '/' && !argument.StartsWith("obj/", StringComparison.Ordinal))
            .ToImmutableDictionary(path => path, path => File.ReadAllText(Path.Combine(directory, path)));
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
                "-p:NonExistentFile=none", "-getItem:CscCommandLineArgs", "-getProperty:RoslynTargetsPath",
            ],
            directory,
            TimeSpan.FromMinutes(2),
            token);
        if (outcome.ExitCode != 0)
        {
            throw new MutationException($"The build does not tell how {project} is compiled: {outcome.Output}");
        }

        using JsonDocument answer = JsonDocument.Parse(outcome.Output);
        string roslyn = answer.RootElement.GetProperty("Properties").GetProperty("RoslynTargetsPath").GetString()!;
        ImmutableArray<string> arguments =
        [
            .. answer.RootElement.GetProperty("Items").GetProperty("CscCommandLineArgs").EnumerateArray()
                .Select(item => item.GetProperty("Identity").GetString()!),
        ];
        return arguments.IsEmpty
            ? throw new MutationException($"The build gave no command line for {project}.")
            : new ProjectCompiler(directory, Path.Combine(roslyn, "bincore", "csc.dll"), arguments);
    }

    /// <summary>Compiles into <paramref name="folder"/>, with the edits applied.</summary>
    /// <exception cref="MutationException">An edit does not apply, or the result is no program.</exception>
    public async Task CompileAsync(ImmutableArray<Edit> edits, string folder, CancellationToken token)
    {
        Directory.CreateDirectory(folder);
        ImmutableDictionary<string, string> changed = Apply(edits, folder);
        string[] arguments =
        [
            .. _arguments
                .Where(argument => !IsOutput(argument))
                .Select(argument => changed.TryGetValue(argument, out string? path) ? path : argument)
                .Select(Quoted),
            Quoted("/out:" + Path.Combine(folder, Assembly)), "/skipanalyzers+", "/warnaserror-", "/nologo",
        ];
        string response = Path.Combine(folder, "csc.rsp");
        await File.WriteAllLinesAsync(response, arguments.Where(argument => argument != "/noconfig"), token);
        ChildOutcome outcome = await Child.RunAsync("dotnet", [_compiler, "/noconfig", "@" + response], _directory, TimeSpan.FromMinutes(2), token);
        if (outcome.ExitCode != 0)
        {
            string error = outcome.Output.Split('\n').FirstOrDefault(line => line.Contains(": error ", StringComparison.Ordinal), outcome.Output);
            throw new MutationException($"It does not compile: {error.Trim()}");
        }
    }

    private ImmutableDictionary<string, string> Apply(ImmutableArray<Edit> edits, string folder)
    {
        ImmutableDictionary<string, string> texts = _sources;
        foreach (Edit edit in edits)
        {
            string[] places =
            [
                .. texts.Where(source => source.Value.Contains(edit.Find, StringComparison.Ordinal)).Select(source => source.Key),
            ];
            if (places is not [var path] || texts[path].IndexOf(edit.Find, StringComparison.Ordinal) != texts[path].LastIndexOf(edit.Find, StringComparison.Ordinal))
            {
                throw new MutationException(places.Length == 0
                    ? $"Nowhere in the project stands: {edit.Find.Split('\n')[0].Trim()}"
                    : $"More than once in the project stands ({string.Join(", ", places)}): {edit.Find.Split('\n')[0].Trim()}");
            }

            texts = texts.SetItem(path, texts[path].Replace(edit.Find, edit.Replace, StringComparison.Ordinal));
        }

        var changed = ImmutableDictionary.CreateBuilder<string, string>();
        foreach ((string path, string text) in texts.Where(source => !ReferenceEquals(source.Value, _sources[source.Key])))
        {
            string copy = Path.Combine(folder, Path.GetFileName(path));
            File.WriteAllText(copy, text);
            changed[path] = copy;
        }

        return changed.ToImmutable();
    }

    private static bool IsOutput(string argument) =>
        argument.StartsWith("/out:", StringComparison.Ordinal)
        || argument.StartsWith("/refout:", StringComparison.Ordinal)
        || argument.StartsWith("/doc:", StringComparison.Ordinal)
        || argument.StartsWith("/warnaserror", StringComparison.Ordinal);

    // A response file is split at blanks.
    private static string Quoted(string argument) => argument.Contains(' ') && !argument.Contains('"') ? $"\"{argument}\"" : argument;
}
