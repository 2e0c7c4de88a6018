using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;

namespace Kcore.MutationGate;

/// <summary>Tries the mutations, several at once.</summary>
internal sealed class Gate(GateOptions options, string repository, CancellationToken token)
{
    private readonly ConcurrentDictionary<string, Lazy<Task<ProjectCompiler>>> _compilers = new();
    private readonly string _work = Path.GetFullPath(Path.Combine(repository, options.Out, "mutations"));

    /// <summary>
    /// What stands nowhere in the sources any more, also of the mutations that are not tried: one that does not apply
    /// would be noticed only when somebody asks for it.
    /// </summary>
    public async Task<ImmutableArray<string>> FindStaleAsync(IEnumerable<Mutation> mutations)
    {
        List<string> stale = [];
        foreach (Mutation mutation in mutations)
        {
            try
            {
                (await CompilerAsync(mutation.Project)).Check(mutation.Edits);
            }
            catch (MutationException impossible)
            {
                stale.Add($"{mutation.FullName} does not apply: {impossible.Message}");
            }
        }

        return [.. stale];
    }

    /// <summary>
    /// First every suite against every project compiled here without a change: what fails then says nothing about a
    /// mutation. Gives what is wrong, or nothing.
    /// </summary>
    public async Task<ImmutableArray<string>> CheckUnchangedAsync(ImmutableArray<MutationFolder> folders)
    {
        ConcurrentBag<string> wrong = [];
        var runs =
            from folder in folders
            let projects = folder.Mutations.Select(mutation => mutation.Project).Distinct().Order(StringComparer.Ordinal).ToImmutableArray()
            from suite in folder.Suites
            select (folder, projects, suite);
        await ForEachAsync(runs, async run =>
        {
            string place = Path.Combine(_work, "unchanged", $"{run.folder.Name}-{run.folder.Suites.IndexOf(run.suite)}");
            foreach (string project in run.projects)
            {
                (await CompilerAsync(project)).Compile([], place, token);
            }

            SuiteAnswer answer = await AskAsync(run.folder, run.suite, place);
            Console.WriteLine($"unchanged: {run.folder.Name}, {run.suite}: {(answer.IsCatch ? "FAILS" : answer.Text)}, {answer.Took.TotalSeconds:0.0} s");
            if (answer.IsCatch || !answer.IsEnded)
            {
                wrong.Add($"{run.suite} does not pass without any mutation: {answer.Test} {answer.Text}");
            }
        });
        return [.. wrong.Order(StringComparer.Ordinal)];
    }

    public async Task<ImmutableArray<Trial>> TryAllAsync(ImmutableArray<MutationFolder> folders)
    {
        ConcurrentBag<Trial> trials = [];
        await ForEachAsync(folders.SelectMany(folder => folder.Mutations.Select(mutation => (folder, mutation))), async pair =>
        {
            Trial trial = await TryAsync(pair.folder, pair.mutation);
            trials.Add(trial);
            Console.WriteLine($"{trial.Verdict,-10} {trial.Mutation.FullName} ({trial.Seconds:0.0} s) {trial.Catch?.Test ?? trial.Text}");
        });
        return [.. trials.OrderBy(trial => trial.Mutation.FullName, StringComparer.Ordinal)];
    }

    private async Task<Trial> TryAsync(MutationFolder folder, Mutation mutation)
    {
        string place = Path.Combine(_work, mutation.Group, mutation.Name);
        try
        {
            (await CompilerAsync(mutation.Project)).Compile(mutation.Edits, place, token);
            List<SuiteAnswer> answers = [];
            foreach (Suite suite in folder.Suites.Where(suite => mutation.Suites.IsEmpty || mutation.Suites.Contains(suite.Project)))
            {
                answers.Add(await AskAsync(folder, suite, place));
                if (answers[^1].IsCatch && !options.IsEverySuite)
                {
                    break;
                }
            }

            bool isCaught = answers.Any(answer => answer.IsCatch);
            return new Trial(mutation, isCaught ? Verdict.Caught : Verdict.Survived, [.. answers], isCaught ? "" : string.Join(", ", answers.Select(answer => answer.Text).Distinct()));
        }
        catch (MutationException impossible)
        {
            return new Trial(mutation, Verdict.NotApplied, [], impossible.Message);
        }
        finally
        {
            if (Directory.Exists(place))
            {
                Directory.Delete(place, recursive: true);
            }
        }
    }

    private async Task<SuiteAnswer> AskAsync(MutationFolder folder, Suite suite, string place)
    {
        string output = Path.Combine(repository, "tests", suite.Project, "bin", options.Configuration, $"net{Environment.Version.Major}.{Environment.Version.Minor}");
        long start = Stopwatch.GetTimestamp();
        ChildOutcome outcome = await Child.RunAsync(
            "dotnet",
            [typeof(Program).Assembly.Location, Program.SuiteWord, Path.Combine(output, suite.Project + ".dll"), place, .. suite.Contains],
            output,
            options.Limit,
            token,
            folder.Environment);
        return SuiteAnswer.Of(suite, outcome, options.Limit, Stopwatch.GetElapsedTime(start));
    }

    private Task<ProjectCompiler> CompilerAsync(string project) => _compilers.GetOrAdd(
        project,
        name => new Lazy<Task<ProjectCompiler>>(() => ProjectCompiler.OfAsync(repository, name, options.Configuration, token))).Value;

    private Task ForEachAsync<T>(IEnumerable<T> items, Func<T, Task> body) => Parallel.ForEachAsync(
        items,
        new ParallelOptions { MaxDegreeOfParallelism = options.Jobs, CancellationToken = token },
        async (item, _) => await body(item));
}
