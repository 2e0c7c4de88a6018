using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Xml.Linq;
using Kcore.Fuzz.Targets;

namespace Kcore.Fuzz;

/// <summary>Entry point: <see cref="FuzzOptions.Usage"/>.</summary>
internal static class Program
{
    private static readonly TimeSpan HangAfter = TimeSpan.FromSeconds(20);

    private static readonly Func<FuzzTarget>[] Targets =
    [
        .. GossipTargets.All,
        .. RaftTargets.All,
        .. StoreTargets.All,
        .. PeerTargets.All,
        .. CatalogTargets.All,
        .. AllocatorTargets.All,
        .. KernelTargets.All,
        .. ApiTargets.All,
    ];

    public static int Main(string[] arguments)
    {
        if (FuzzOptions.Parse(arguments) is not { } options)
        {
            Console.Error.WriteLine(FuzzOptions.Usage);
            return 64;
        }

        FuzzTarget[] targets = [.. Targets.Select(make => make()).Where(target => target.Name.Contains(options.Filter, StringComparison.Ordinal))];
        if (targets.Length == 0)
        {
            Console.Error.WriteLine($"No target's name contains '{options.Filter}'.");
            return 64;
        }

        long start = Stopwatch.GetTimestamp();
        FuzzResult[] results = Run(targets, options);
        Print(results, options, Stopwatch.GetElapsedTime(start));
        if (options.Trx is { } path)
        {
            Trx(results).Save(path);
        }

        return results.Any(result => result.Failure is not null) ? 1 : 0;
    }

    private static FuzzResult[] Run(FuzzTarget[] targets, FuzzOptions options)
    {
        ConcurrentBag<FuzzResult> results = [];
        ConcurrentDictionary<string, Fuzzer> running = new();
        using var watch = new Timer(_ => EndIfHung(running.Values), null, HangAfter, TimeSpan.FromSeconds(5));
        TimeSpan each = options.Time is { } time ? time * Math.Min(options.Jobs, targets.Length) / targets.Length : TimeSpan.MaxValue;
        Parallel.ForEach(
            Partitioner.Create(targets.OrderByDescending(target => target.Cost), EnumerablePartitionerOptions.NoBuffering),
            new ParallelOptions { MaxDegreeOfParallelism = options.Jobs },
            target =>
            {
                var fuzzer = new Fuzzer(target, options.Seed);
                running[target.Name] = fuzzer;
                FuzzResult result = fuzzer.Run(Math.Max(1, options.Cases / target.Cost), each);
                running.TryRemove(target.Name, out _);
                results.Add(result);
                if (result.Failure is { } failure)
                {
                    Console.WriteLine($"FAILED {target.Name}: {failure}");
                }
            });
        return [.. results.OrderBy(result => result.Target, StringComparer.Ordinal)];
    }

    private static void EndIfHung(IEnumerable<Fuzzer> running)
    {
        foreach (Fuzzer fuzzer in running)
        {
            (byte[] input, TimeSpan since) = fuzzer.Current;
            if (since > HangAfter)
            {
                Console.WriteLine($"FAILED {fuzzer.Name}: does not end: {Convert.ToHexStringLower(input)}");
                Environment.Exit(1);
            }
        }
    }

    private static void Print(FuzzResult[] results, FuzzOptions options, TimeSpan took)
    {
        Console.WriteLine($"{"target",-28} {"cases",10} {"accepted",9} {"shapes",7} {"allocated",10} {"slowest",10} {"took",8}");
        foreach (FuzzResult result in results)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{result.Target,-28} {result.Cases,10} {100.0 * result.Accepted / Math.Max(1, result.Cases),8:0.0}% {result.Shapes,7} {result.AllocatedMax,8} B {result.Slowest.TotalMilliseconds,7:0.00} ms {result.Took.TotalSeconds,6:0.0} s"));
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{results.Sum(result => result.Cases)} cases against {results.Length} targets, seed {options.Seed}, {took.TotalSeconds:0.0} s, {results.Count(result => result.Failure is not null)} failed"));
    }

    private static XDocument Trx(FuzzResult[] results) => new(new XElement(
        "TestRun",
        results.Select(result => new XElement(
            "UnitTestResult",
            new XAttribute("testName", "fuzz " + result.Target),
            new XAttribute("outcome", result.Failure is null ? "Passed" : "Failed"),
            result.Failure is null ? null : new XElement("Message", result.Failure)))));
}
