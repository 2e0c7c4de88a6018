using System.Collections.Immutable;
using System.Globalization;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class ClusterText
{
    private static readonly ImmutableArray<Column> Columns =
    [
        new("NODE", 16), new("ROLE", 8), new("HEALTH", 8), new("STATE", 10),
        new("MATCH", 8, Right: true), new("LAG", 6, Right: true), new("HEARD", 8, Right: true), new("DURABLE", 8, Right: true),
    ];

    public static void Write(TextWriter output, ClusterReport report)
    {
        ImmutableArray<string> degraded = report.Degraded.OrEmpty();
        ImmutableArray<ClusterMember> voters = report.Voters.OrEmpty();
        ImmutableArray<string> observers = report.Observers.OrEmpty();
        new Labels()
            .Add("Health", degraded.IsEmpty ? "ok" : "degraded")
            .Indent(degraded)
            .Add("Cluster", $"{report.ClusterId ?? "none"} epoch {report.Epoch}")
            .Add("Leader", $"{report.Leader ?? "unknown"}, term {report.Term}")
            .Add("Log", $"commit {report.Commit}, applied {report.Applied}, last {report.Last}{(report.StateComparedAt is { } compared ? $", state compared at {compared}" : "")}")
            .Add("Quorum", Quorum(report, voters.Length))
            .Add("Source", report.Source == "leader" ? "the leader" : $"{report.Node} alone: the leader does not answer")
            .Add("Observers", observers.IsEmpty ? "(none)" : string.Join(", ", observers))
            .Write(output);
        output.WriteLine();
        Table.Write(
            output,
            Columns,
            voters.Select(v => Row(v, v.Name == report.Leader ? "leader" : "voter"))
                .Concat(report.Learners.OrEmpty().Select(l => Row(l, "learner"))));
    }

    private static string Quorum(ClusterReport report, int voters) =>
        !report.Quorum ? $"NO{(report.Since is { } since ? $", since {EventText.Time(since)}" : "")}"
        : $"yes, {voters} {(voters == 1 ? "voter" : "voters")}, {report.Margin} more may fail{(report.Changing ? ", changing" : "")}";

    private static ImmutableArray<string> Row(ClusterMember member, string role) =>
    [
        member.Name ?? "", role, member.Health ?? "", member.State ?? "",
        Number(member.Match), Number(member.Lag), Age(member.HeardMilliseconds), Age(member.DurableMilliseconds),
    ];

    private static string Number(ulong? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "";

    private static string Age(long? milliseconds) =>
        milliseconds is null ? "" : string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 1000.0:0.0} s");
}
