using System.CommandLine;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

internal static class NicCommands
{
    public static Command BuildAttach(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("name of the NIC, unique on its network");
        var network = new Option<string?>("--network") { Description = "the network (required)", HelpName = "NETWORK" };
        var netns = new Option<string?>("--netns") { Description = "put a configured interface into this network namespace: name, path or process id; without it a TAP is made", HelpName = "NETNS" };
        var ifname = new Option<string?>("--ifname") { Description = "its name inside the namespace (default eth0)", HelpName = "NAME" };
        var ip = new Option<string?>("--ip") { Description = "a wanted address; the next free one when left out", HelpName = "IPV4" };
        var mac = new Option<string?>("--mac") { Description = "a wanted MAC; derived from the name when left out", HelpName = "MAC" };
        var spoofing = new Option<bool>("--allow-spoofing") { Description = "let the guest send from other MACs and addresses than its own" };
        var command = new Command("nic", "Attach a NIC on this host to a network.") { name, network, netns, ifname, ip, mac, spoofing };
        command.Aliases.Add("nics");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            var request = new AttachNicRequest
            {
                Name = parsed.Required(name),
                Network = parsed.Required(network),
                Netns = parsed.GetValue(netns),
                Ifname = parsed.GetValue(ifname),
                Ip = parsed.GetValue(ip),
                Mac = parsed.GetValue(mac),
                // Left out when not wanted, so that an older daemon takes the request.
                AllowSpoofing = parsed.GetValue(spoofing) ? true : null,
            };
            session.Print(session.Client.Post(Routes.Nics, request, Replies.Json.AttachNicRequest), Replies.Json.NicInfo, NicText.WriteAttached, n => n.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    public static Command BuildDetach(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("the NIC");
        var network = new Option<string?>("--network") { Description = "its network (required)", HelpName = "NETWORK" };
        var command = new Command("nic", "Detach a NIC and release its address.") { name, network };
        command.Aliases.Add("nics");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            string wanted = parsed.Required(name);
            byte[] body = session.Client.Delete(Paths.Nic(parsed.Required(network), wanted));
            session.Print(body, Replies.Json.ChangeReceipt, Receipts.Write, r => r.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    public static Command BuildMove(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("the NIC");
        var network = new Option<string?>("--network") { Description = "its network (required)", HelpName = "NETWORK" };
        var to = new Option<string?>("--to") { Description = "the node it goes to", HelpName = "NODE" };
        var prepare = new Option<bool>("--prepare") { Description = "make its device there and stop: for a guest that runs while it moves" };
        var complete = new Option<bool>("--complete") { Description = "hand a prepared NIC over" };
        var abort = new Option<bool>("--abort") { Description = "take a preparation back; the NIC stays where it is" };
        var netns = new Option<string?>("--netns") { Description = "namespace it leads into there: name, path or process id; without it a TAP is made", HelpName = "NETNS" };
        var ifname = new Option<string?>("--ifname") { Description = "its name inside that namespace (default eth0)", HelpName = "NAME" };
        var force = new Option<bool>("--force") { Description = "also when the node it is on is not heard: you know that the guest does not run there" };
        var command = new Command(
            "nic",
            "Move a NIC to another node; it keeps MAC and address. Asked on any node. Without --prepare, --complete or --abort the whole move, for a guest that is stopped.")
        {
            name, network, to, prepare, complete, abort, netns, ifname, force,
        };
        command.Aliases.Add("nics");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            string[] steps = [.. new[] { (prepare, "prepare"), (complete, "complete"), (abort, "abort") }.Where(s => parsed.GetValue(s.Item1)).Select(s => s.Item2)];
            if (steps.Length > 1)
            {
                throw CommandFailure.Invalid($"--{steps[0]} and --{steps[1]} are two steps of a move", "kctl move nic --help");
            }

            string path = Paths.Nic(parsed.Required(network), parsed.Required(name)) + Routes.Move;
            var request = new MoveNicRequest
            {
                To = steps is ["complete"] or ["abort"] ? parsed.GetValue(to) : parsed.Required(to),
                Step = steps.FirstOrDefault(),
                Netns = parsed.GetValue(netns),
                Ifname = parsed.GetValue(ifname),
                Force = parsed.GetValue(force) ? true : null,
            };
            session.Print(session.Client.Post(path, request, Replies.Json.MoveNicRequest), Replies.Json.MovedNic, NicText.WriteMoved, m => m.Nic?.Name ?? "");
            return (int)ExitCode.Done;
        });
        return command;
    }
}
