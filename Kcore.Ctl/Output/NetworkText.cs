using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class NetworkText
{
    private static readonly ImmutableArray<Column> Columns =
    [
        new("NAME", 20), new("TYPE", 7), new("GATEWAY", 16), new("NETMASK", 16),
        new("VLAN", 4, Right: true), new("OVERLAY", 8), new("BRIDGE", 16), new("NODES", 8),
    ];

    public static void WriteList(TextWriter output, ImmutableArray<NetworkSummary> networks, bool wide)
    {
        if (networks.IsEmpty)
        {
            output.WriteLine("There are no custom networks. Create one: kctl create network NAME --gateway-ip A.B.C.D");
            return;
        }

        Table.Write(
            output,
            wide ? [.. Columns, new Column("CONFLICT", 8)] : Columns,
            networks.OrderBy(n => n.Name, StringComparer.Ordinal).Select(n => Row(n, wide)));
    }

    public static void WriteDetail(TextWriter output, NetworkDetail network)
    {
        Labels labels = new Labels()
            .Add("Name", network.Name)
            .Add("Type", network.Type)
            .Add("Overlay", network.Overlay ? "yes" : "no")
            .Add("Bridge", network.Bridge)
            .Add("Gateway IP", network.GatewayIp)
            .Add("Internal netmask", network.InternalNetmask)
            .Add("Network CIDR", network.NetworkCidr)
            .Add("VLAN", network.Vlan == 0 ? "-" : $"{network.Vlan}")
            .Add("Outbound NAT", network.OutboundNat ? "enabled" : "disabled")
            .Add("Allowed TCP ports", Ports(network.AllowedTcpPorts))
            .Add("Allowed UDP ports", Ports(network.AllowedUdpPorts));
        if (network.Uplink is { } uplink)
        {
            labels.Add("Uplink", network.VlanDevice is { } vlan ? $"{vlan} on {uplink}" : uplink);
        }

        if (!network.Published.OrEmpty().IsEmpty)
        {
            labels.Add("Published ports", $"{network.Published.Length}").Indent(network.Published);
        }

        if (network.DhcpRange is { } range)
        {
            labels.Add("DHCP range", range);
        }

        if (network.Overlay)
        {
            labels.Add("VNI", network.Vni is { } vni ? $"{vni}" : "-").Add("VXLAN device", network.VxlanDevice ?? "-");
        }

        if (network.Encryption is { } encryption and not "none")
        {
            labels.Add("Encryption", encryption);
        }

        if (network.Mtu is { } mtu)
        {
            labels.Add("MTU", $"{mtu}");
        }

        if (network.Addresses is { } pool)
        {
            labels.Add("Next address", pool.Next ?? "none left")
                .Add("Used addresses", $"{pool.Used} of {pool.Size}")
                .Add("Free addresses", $"{pool.Free}");
            if (network.AddressReuse is { } reuse)
            {
                labels.Add("Address reuse", reuse);
            }

            if (pool.Resting > 0)
            {
                labels.Add("Resting addresses", $"{pool.Resting}");
            }

            if (network.EmergencyReserve is { } reserve and > 0)
            {
                labels.Add("Emergency reserve", $"{reserve} for each node, {pool.Parked} parked");
            }
        }

        ImmutableArray<NetworkNode> nodes = network.Nodes.OrEmpty();
        labels.Add("Nodes", $"{nodes.Length} participating").Indent(nodes.Select(n => NodeLine(network, n)));
        if (!network.Conflicts.OrEmpty().IsEmpty)
        {
            labels.Add("Conflicts", $"{network.Conflicts.Length}").Indent(network.Conflicts);
        }

        labels.Write(output);
    }

    public static string NodeLine(NetworkDetail network, NetworkNode node)
    {
        string place = network.Overlay ? $" (vtep: {node.Vtep ?? "unknown"})"
            : (node.External ?? network.ExternalIp) is { } external ? $" (external: {external})"
            : "";
        string health = node.Health == "alive" ? "" : $", node is {node.Health}";
        string reason = node.Reason is null ? "" : $": {node.Reason}";
        string warning = node.Warning is null ? "" : $"; {node.Warning}";
        return $"{node.Node}{place} {node.State}{health}{reason}{warning}";
    }

    private static ImmutableArray<string> Row(NetworkSummary n, bool wide)
    {
        ImmutableArray<string> row =
        [
            n.Name ?? "", n.Type ?? "", n.GatewayIp ?? "", n.InternalNetmask ?? "",
            n.Vlan == 0 ? "-" : $"{n.Vlan}", n.Overlay ? "yes" : "no", n.Bridge ?? "", $"{n.Nodes}",
        ];
        return wide ? [.. row, n.Conflict ?? ""] : row;
    }

    private static string Ports(ImmutableArray<int> ports) =>
        ports.OrEmpty().IsEmpty ? "(none)" : string.Join(", ", ports);
}
