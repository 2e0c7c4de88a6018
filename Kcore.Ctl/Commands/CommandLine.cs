using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>The tree of commands, and the one place where a command's end becomes text and exit code.</summary>
internal static class CommandLine
{
    private const string Summary = """
        kctl asks the kcored of this host and prints what it says.

        The result goes to standard output, progress and errors to standard error. With -o json an error is one object
        on standard error, {code, message, details, next}, and standard output stays empty.

        Exit codes: 0 done; 1 internal error; 2 usage or InvalidArgument; 3 NotFound; 4 AlreadyExists,
        FailedPrecondition, ResourceExhausted; 5 PermissionDenied; 6 kcored not reachable; 7 timed out while waiting
        (the change stands); 8 partial; 9 degraded; 10 plan has differences; 11 Unavailable, try again; 130 interrupted.
        """;

    public static ExitCode Run(string[] args, Surroundings surroundings)
    {
        var globals = new GlobalOptions();
        RootCommand root = Build(globals, surroundings);
        ParseResult parsed = root.Parse(args);
        OutputFormat format = globals.FormatForErrors(parsed);
        try
        {
            if (parsed.Action is not HelpAction && parsed.Errors is [ParseError first, ..])
            {
                throw CommandFailure.Invalid(first.Message, $"{Spelling(parsed.CommandResult)} --help");
            }

            return (ExitCode)parsed.Invoke(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
                Output = surroundings.Out,
                Error = surroundings.Error,
            });
        }
        catch (CommandFailure failure)
        {
            ErrorText.Write(surroundings.Error, failure.Problem, format, surroundings.ColourErrors);
            return failure.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
        catch (Exception e)
        {
            var problem = new Problem(ErrorCode.Internal, $"kctl failed: {e.Message}", [$"{e.GetType().Name}"], "this is a bug in kctl; please report the command and this text");
            ErrorText.Write(surroundings.Error, problem, format, surroundings.ColourErrors);
            return ExitCode.Internal;
        }
    }

    private static RootCommand Build(GlobalOptions globals, Surroundings surroundings)
    {
        Session Open(ParseResult parsed) => new(
            surroundings,
            globals.Format(parsed),
            new DaemonClient(globals.SocketPath(parsed, surroundings.Variable), surroundings.Interrupted));

        var root = new RootCommand(Summary);
        globals.AddTo(root);
        root.Add(new Command("create", "Create an object.") { CreateNetwork.Build(Open) });
        root.Add(GetCommands.Build(Open));
        root.Add(DescribeCommands.Build(Open));
        root.Add(new Command("delete", "Delete an object.") { DeleteNetwork.Build(Open) });
        root.Add(new Command("attach", "Connect something to a network.") { NicCommands.BuildAttach(Open) });
        root.Add(new Command("detach", "Disconnect something from a network.") { NicCommands.BuildDetach(Open) });
        root.Add(new Command("move", "Move something to another node.") { NicCommands.BuildMove(Open) });
        root.Add(NetworkCommands.Build(Open));
        root.Add(NodeCommands.Build(Open));
        root.Add(ClusterCommands.Build(Open));
        root.Add(ClusterCommands.BuildDiscover(Open));
        root.Add(NodeViews.BuildStatus(Open));
        root.Add(NodeViews.BuildDoctor(Open));
        root.Add(NodeViews.BuildPlan(Open));
        root.Add(EventsCommand.Build(Open));
        root.Add(NodeViews.BuildVersion(Open));
        root.Add(CompletionCommand.Build(Open));
        return root;
    }

    private static string Spelling(CommandResult result)
    {
        ImmutableArray<string> names = [];
        for (SymbolResult? at = result; at is CommandResult command; at = command.Parent)
        {
            names = names.Insert(0, command.Command is RootCommand ? "kctl" : command.Command.Name);
        }

        return string.Join(' ', names);
    }
}
