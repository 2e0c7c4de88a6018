using System.CommandLine;
using System.Text.Json;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

internal static class CreateNetwork
{
    public static Command Build(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("1 to 63 letters, digits, '-' and '_'");
        var type = new Option<string?>("--type") { Description = "nat (default), bridge or vxlan", HelpName = "TYPE" };
        var externalIp = new Option<string?>("--external-ip") { Description = "address of the host that guests appear under", HelpName = "IPV4" };
        var gatewayIp = new Option<string?>("--gateway-ip") { Description = "the guests' gateway; its subnet is the network's", HelpName = "IPV4" };
        var netmask = new Option<string?>("--internal-netmask") { Description = "default 255.255.255.0", HelpName = "MASK" };
        var vlan = new Option<int>("--vlan-id") { Description = "802.1Q id of the uplink; 0 is none", HelpName = "ID" };
        var enableNat = new Option<bool>("--enable-outbound-nat") { Description = "masquerade what guests send out (default except for bridge)" };
        var noNat = new Option<bool>("--no-outbound-nat") { Description = "do not masquerade" };
        var target = new Option<string?>("--target-node") { Description = "nat and bridge: the node it is on; default: this one", HelpName = "NODE" };
        var uplink = new Option<string?>("--uplink") { Description = "device a bridge network leads to, or that carries the VLAN", HelpName = "IFACE" };
        var publish = new Option<string[]>("--publish") { Description = "PORT:NIC:PORT[/udp], send a port of the external address to a NIC; repeatable", HelpName = "RULE" };
        var exclude = new Option<string[]>("--exclude") { Description = "vxlan: A or A-B, addresses never given out; repeatable", HelpName = "RANGE" };
        var encryption = new Option<string?>("--encryption") { Description = "vxlan: none (default) or wireguard", HelpName = "HOW" };
        var reuse = new Option<string?>("--address-reuse") { Description = "vxlan: never (default), or quarantine: addresses given back are given again after all others and 10 minutes", HelpName = "RULE" };
        var reserve = new Option<int?>("--emergency-reserve") { Description = "vxlan: addresses from the top of the subnet granted to every node in advance, for attaches without quorum (default 0)", HelpName = "COUNT" };
        var wait = new Option<bool>("--wait") { Description = "return when every live node says it is ready" };
        var timeout = new Option<string?>("--timeout") { Description = "how long --wait waits (default 60s)", HelpName = "DURATION" };
        var command = new Command("network", "Create a network.") { name, type, externalIp, gatewayIp, netmask, vlan, enableNat, noNat, target, uplink, publish, exclude, reuse, reserve, encryption, wait, timeout };
        command.Aliases.Add("networks");
        command.SetAction(parsed => (int)Run(
            open(parsed),
            new CreateNetworkRequest
            {
                Name = parsed.Required(name),
                Type = parsed.GetValue(type),
                ExternalIp = parsed.GetValue(externalIp),
                GatewayIp = parsed.GetValue(gatewayIp),
                InternalNetmask = parsed.GetValue(netmask),
                VlanId = parsed.GetValue(vlan),
                EnableOutboundNat = parsed.GetValue(enableNat),
                NoOutboundNat = parsed.GetValue(noNat),
                TargetNode = parsed.GetValue(target),
                Uplink = parsed.GetValue(uplink),
                Publish = parsed.GetValue(publish) is { Length: > 0 } rules ? [.. rules] : null,
                Encryption = parsed.GetValue(encryption),
                AddressReuse = parsed.GetValue(reuse),
                EmergencyReserve = parsed.GetValue(reserve),
                Exclude = parsed.GetValue(exclude) is { Length: > 0 } ranges ? [.. ranges] : null,
            },
            parsed.GetValue(wait) ? Durations.Parse(parsed.GetValue(timeout) ?? "60s") : null));
        return command;
    }

    private static ExitCode Run(Session session, CreateNetworkRequest request, TimeSpan? wait)
    {
        byte[] body = session.Client.Post(Routes.Networks, request, Replies.Json.CreateNetworkRequest);
        if (session.IsText || wait is null)
        {
            session.Print(body, Replies.Json.ChangeReceipt, Receipts.Write, r => r.Name);
            session.Out.Flush();
        }

        if (wait is not { } timeout)
        {
            return ExitCode.Done;
        }

        // Other nodes may have networks of this name; the receipt says on which node this one is.
        bool overlay = string.Equals(request.Type?.Trim(), "vxlan", StringComparison.OrdinalIgnoreCase);
        string? home = overlay ? null : Replies.Read(body, Replies.Json.ChangeReceipt).Node;
        ReadyWait.Outcome outcome = new ReadyWait(session, request.Name, home, everywhere: string.IsNullOrWhiteSpace(request.TargetNode)).Run(timeout);
        if (session.IsText)
        {
            foreach (NetworkNode node in outcome.Network.Nodes.OrEmpty())
            {
                session.Out.WriteLine($"  {Printable.Of(NetworkText.NodeLine(outcome.Network, node))}");
            }
        }
        else if (session.Format == OutputFormat.Name)
        {
            session.Print(body, Replies.Json.ChangeReceipt, Receipts.Write, r => r.Name);
        }
        else
        {
            session.PrintDocument(WithNodes(body, outcome.Body));
        }

        return outcome.Partial ? ExitCode.Partial : ExitCode.Done;
    }

    /// <summary>The receipt, with the nodes of the description added: one document however long it took.</summary>
    private static byte[] WithNodes(byte[] receipt, byte[] detail)
    {
        using JsonDocument head = JsonText.Parse(receipt);
        using JsonDocument rest = JsonText.Parse(detail);
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (JsonProperty property in head.RootElement.EnumerateObject())
            {
                property.WriteTo(writer);
            }

            writer.WritePropertyName("nodes");
            rest.RootElement.GetProperty("nodes").WriteTo(writer);
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }
}
