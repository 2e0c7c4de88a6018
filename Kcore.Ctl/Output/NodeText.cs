using System.Collections.Immutable;
using System.Globalization;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class NodeText
{
    public static void WriteList(TextWriter output, ImmutableArray<NodeSummary> nodes, bool wide)
    {
        ImmutableArray<Column> columns =
            [new("ID", 8), new("HOSTNAME", 16), new("ADDRESS", 16), new("STATUS", 8), new("ROLE", 8), new("NETWORKS", 8, Right: true)];
        Table.Write(
            output,
            wide ? [.. columns, new Column("VXLAN", 8), new Column("VERSION", 8)] : columns,
            nodes.Select(n => Row(n, wide)));
    }

    public static void WriteDetail(TextWriter output, NodeDetail node)
    {
        NodeSummary summary = node.Summary;
        Labels labels = new Labels()
            .Add("Name", summary.Name)
            .Add("ID", summary.Id)
            .Add("Address", node.AddressReason is null ? summary.Address : $"{summary.Address} ({node.AddressReason})")
            .Add("Status", StatusOf(summary))
            .Add("Host", HostText(node.Host))
            .Add("Path", PathText(node.Path))
            .Add("Role", summary.Role)
            .Add("Version", summary.Version)
            .Add("VXLAN", summary.VxlanDisabled ? "disabled" : "enabled")
            .Add("Underlay", node.UnderlayInterface is null ? "-" : $"{node.UnderlayInterface}, MTU {node.UnderlayMtu}")
            .Add("Gossip port", $"{node.GossipPort}")
            .Add("Raft port", $"{node.RaftPort}");
        if (node.WireguardKey is { } key)
        {
            labels.Add("WireGuard key", key)
                .Add("Mesh address", node.MeshAddress ?? "none yet")
                .Add("Last handshake", node.LastHandshake is { } at ? at.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) : "-");
        }

        labels
            .Add("Epoch", $"{node.Epoch}")
            .Add("Incarnation", $"{node.Incarnation}")
            .Add("Networks", $"{node.Networks.OrEmpty().Length}")
            .Indent(node.Networks.OrEmpty().Select(n => $"{n?.Network} {n?.State}{(n?.Reason is null ? "" : $": {n.Reason}")}"));
        ImmutableArray<string> warnings = node.Warnings.OrEmpty();
        labels.Add("Warnings", warnings.IsEmpty ? "(none)" : $"{warnings.Length}").Indent(warnings).Write(output);
    }

    private static string StatusOf(NodeSummary node) => node.Drained ? $"{node.Status},drained" : node.Status ?? "";

    private static string HostText(string? host) => host switch
    {
        "answers" => "answers ICMP echo",
        "silent" => "silent: does not answer ICMP echo",
        "mute" => "never answered ICMP echo",
        _ => host ?? "-",
    };

    private static string PathText(NodePath? path) => path?.State switch
    {
        "works" => $"UDP 4789 passes, with packets of {path.Bytes} bytes",
        "too-small" => $"UDP 4789 passes, with packets of at most {path.Passes} of {path.Bytes} bytes",
        "broken" => "UDP 4789 does not pass",
        _ => path?.State ?? "-",
    };

    private static ImmutableArray<string> Row(NodeSummary n, bool wide)
    {
        // Eight digits tell nodes apart on a screen; wide shows the whole id for copying.
        string id = n.Id ?? "";
        ImmutableArray<string> row =
            [wide || id.Length <= 8 ? id : id[..8], n.Name ?? "", n.Address ?? "", StatusOf(n), n.Role ?? "", $"{n.Networks}"];
        return wide ? [.. row, n.VxlanDisabled ? "disabled" : "enabled", n.Version ?? ""] : row;
    }
}
