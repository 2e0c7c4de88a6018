using System.CommandLine;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Commands;

internal static class DeleteNetwork
{
    public static Command Build(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("the network");
        var target = new Option<string?>("--target-node") { Description = "delete only this node's copy", HelpName = "NODE" };
        var command = new Command("network", "Delete a network.") { name, target };
        command.Aliases.Add("networks");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Delete(Paths.With(Paths.Network(parsed.Required(name)), "targetNode", parsed.GetValue(target)));
            session.Print(body, Replies.Json.ChangeReceipt, Receipts.Write, r => r.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
