using System.CommandLine;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

internal static class DescribeCommands
{
    public static Command Build(Func<ParseResult, Session> open) =>
        new("describe", "Show one object in full.") { Network(open), Node(open) };

    private static Command Network(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("the network");
        var target = new Option<string?>("--target-node") { Description = "show only this node's part", HelpName = "NODE" };
        var command = new Command("network", "Show a network.") { name, target };
        command.Aliases.Add("networks");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            string wanted = parsed.Required(name);
            byte[] body = session.Client.Get(Paths.With(Paths.Network(wanted), "targetNode", parsed.GetValue(target)));
            if (parsed.GetValue(target) is { Length: > 0 } node)
            {
                body = OnlyNode(body, wanted, node);
            }

            session.Print(body, Replies.Json.NetworkDetail, NetworkText.WriteDetail, n => n.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    /// <summary>Leaves one node's line; everything else the daemon said stays as it is.</summary>
    private static byte[] OnlyNode(byte[] body, string network, string node)
    {
        _ = Replies.Read(body, Replies.Json.NetworkDetail);
        JsonObject document = JsonNode.Parse(body)!.AsObject();
        JsonNode[] kept = [.. (document["nodes"] as JsonArray ?? [])
            .OfType<JsonObject>()
            .Where(n => Is(n["node"], node) || Is(n["nodeId"], node))
            .Select(n => n.DeepClone())];
        if (kept.Length == 0)
        {
            throw new CommandFailure(new Problem(
                ErrorCode.NotFound, $"network '{network}' is not on node '{node}'", [], $"kctl describe network {network}"));
        }

        document["nodes"] = new JsonArray(kept);
        return Encoding.UTF8.GetBytes(document.ToJsonString());
    }

    private static bool Is(JsonNode? value, string text) =>
        value is JsonValue v && v.GetValueKind() == JsonValueKind.String && v.GetValue<string>() == text;

    private static Command Node(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("name or id; the node that serves the call when left out");
        var command = new Command("node", "Show a node.") { name };
        command.Aliases.Add("nodes");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            string wanted = parsed.GetValue(name)?.Trim() is { Length: > 0 } given
                ? given
                : Replies.Read(session.Client.Get(Routes.Status), Replies.Json.StatusReport).NodeId;
            session.Print(session.Client.Get(Paths.Node(wanted)), Replies.Json.NodeDetail, NodeText.WriteDetail, n => n.Summary.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
