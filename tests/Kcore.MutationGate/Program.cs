using System.Collections.Immutable;
using System.Diagnostics;

namespace Kcore.MutationGate;

/// <summary>Entry point: the gate itself, and – as its own child – one suite against one mutated assembly.</summary>
internal static class Program
{
    public const string SuiteWord = "suite";

    public static async Task<int> Main(string[] arguments)
    {
        if (arguments is [SuiteWord, var tests, var mutated, .. var contains])
        {
            return SuiteRunner.Run(tests, mutated, contains);
        }

        if (GateOptions.Parse(arguments) is not { } options)
        {
            Console.Error.WriteLine(GateOptions.Usage);
            return 64;
        }

        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, pressed) =>
        {
            pressed.Cancel = true;
            stop.Cancel();
        };
        return await RunAsync(options, FindRepository(), stop.Token);
    }

    private static async Task<int> RunAsync(GateOptions options, string repository, CancellationToken token)
    {
        long start = Stopwatch.GetTimestamp();
        ImmutableArray<MutationFolder> all = MutationFolder.ReadAll(Path.Combine(repository, "tests", "Kcore.Mutations"));
        ImmutableArray<MutationFolder> folders =
        [
            .. all
                .Select(folder => folder with
                {
                    Mutations = [.. folder.Mutations.Where(options.Wants)],
                })
                .Where(folder => !folder.Mutations.IsEmpty),
        ];
        if (folders.IsEmpty)
        {
            Console.Error.WriteLine($"No mutation's name contains '{options.Filter}'.");
            return 64;
        }

        string outFolder = Path.Combine(repository, options.Out);
        Directory.CreateDirectory(outFolder);
        var gate = new Gate(options, repository, token);
        IEnumerable<Mutation> written = options.Filter.Length == 0 ? all.SelectMany(folder => folder.Mutations) : [];
        ImmutableArray<string> wrong = [.. await gate.FindStaleAsync(written), .. await gate.CheckUnchangedAsync(folders)];
        ImmutableArray<Trial> trials = wrong.IsEmpty ? await gate.TryAllAsync(folders) : [];
        string table = Report.Table(trials, options.IsEverySuite);
        await File.WriteAllTextAsync(Path.Combine(outFolder, "mutations.txt"), table, token);
        Report.Trx(trials, wrong).Save(Path.Combine(outFolder, "Kcore.MutationGate.trx"));

        Console.WriteLine();
        Console.Write(wrong.IsEmpty ? table : string.Join('\n', wrong) + "\n");
        int caught = trials.Count(trial => trial.Verdict == Verdict.Caught);
        Console.WriteLine(
            $"{caught} caught, {trials.Count(trial => trial.Verdict == Verdict.Survived)} survived, " +
            $"{trials.Count(trial => trial.Verdict == Verdict.NotApplied)} not applied, {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s");
        return wrong.IsEmpty && caught == trials.Length ? 0 : 1;
    }

    private static string FindRepository()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Kcore.sln")))
        {
            directory = directory.Parent;
        }

        return directory?.FullName ?? throw new InvalidOperationException("The gate runs outside of its repository.");
    }
}
