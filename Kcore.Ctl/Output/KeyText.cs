using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class KeyText
{
    public static void Write(TextWriter output, ClusterKeys keys, bool wide)
    {
        ImmutableArray<Column> columns =
        [
            new("KEY", 8), new("GENERATION", 10, Right: true), new("STATE", 8), new("HELD BY", 7, Right: true), new("USED BY", 7, Right: true),
            new("ACTIVE SINCE", 20), new("RETIRES", 20),
        ];
        Table.Write(
            output,
            wide ? [.. columns, new Column("FINGERPRINT", 16)] : columns,
            keys.Keys.OrEmpty().Where(k => k is not null).Select(k => Row(k, wide)));
        output.WriteLine();
        Table.Write(
            output,
            [new("NODE", 16), new("STATUS", 8), new("HOLDS", 8), new("USES", 8)],
            keys.Members.OrEmpty().Where(m => m is not null).Select(m =>
                (ImmutableArray<string>)[m.Node ?? "", m.Status ?? "", string.Join(' ', m.Held.OrEmpty()), m.Active ?? ""]));
        foreach (string note in keys.Notes.OrEmpty())
        {
            output.WriteLine(Printable.Of($"note: {note}"));
        }
    }

    public static void WriteNeighbours(TextWriter output, ImmutableArray<LanNeighbour> neighbours) => Table.Write(
        output,
        [new("ID", 8), new("ADDRESS", 16), new("KEY", 16), new("OURS", 5), new("CLUSTER", 8), new("HEARD", 20)],
        neighbours.Select(n => (ImmutableArray<string>)
        [
            n.Id is { Length: > 8 } id ? id[..8] : n.Id ?? "",
            string.Join(' ', n.Addresses.OrEmpty()),
            n.Fingerprint ?? "",
            n.SharesKey ? "yes" : "no",
            n.SameCluster ? "this" : n.ClusterId is { Length: > 8 } cluster ? cluster[..8] : n.ClusterId ?? "",
            EventText.Time(n.Heard),
        ]));

    private static ImmutableArray<string> Row(ClusterKey key, bool wide)
    {
        ImmutableArray<string> row =
        [
            key.Id ?? "", $"{key.Generation}", key.State ?? "", $"{key.HeldBy}", $"{key.ActiveOn}",
            key.ActiveSince is { } since ? EventText.Time(since) : "", key.RetiresAt is { } end ? EventText.Time(end) : "",
        ];
        return wide ? [.. row, key.Fingerprint ?? ""] : row;
    }
}
