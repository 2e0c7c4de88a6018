using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>One run of one command: whom to ask, and how to print.</summary>
internal sealed record Session(Surroundings Surroundings, OutputFormat Format, DaemonClient Client)
{
    public TextWriter Out => Surroundings.Out;

    public bool IsWide => Format == OutputFormat.Wide;

    public bool IsText => Format is OutputFormat.Table or OutputFormat.Wide;

    /// <summary>
    /// Prints one answer. Only people's formats need its meaning; JSON and YAML pass on all that was said, known to
    /// this program or not.
    /// </summary>
    /// <param name="name">Null where the answer has no name to print.</param>
    public void Print<T>(byte[] body, JsonTypeInfo<T> type, Action<TextWriter, T> text, Func<T, string>? name)
    {
        switch (Format)
        {
            case OutputFormat.Json or OutputFormat.Yaml:
                PrintDocument(body);
                break;
            case OutputFormat.Name when name is not null:
                Out.WriteLine(Printable.Of(name(Replies.Read(body, type))));
                break;
            case OutputFormat.Name:
                throw CommandFailure.Invalid("this answer has no names: -o name does not apply", "-o table|json|yaml");
            default:
                text(Out, Replies.Read(body, type));
                break;
        }
    }

    public void PrintList<T>(byte[] body, JsonTypeInfo<ImmutableArray<T>> type, Action<TextWriter, ImmutableArray<T>> text, Func<T, string> name)
        where T : class
    {
        if (Format is OutputFormat.Json or OutputFormat.Yaml)
        {
            PrintDocument(body);
            return;
        }

        ImmutableArray<T> list = Replies.ReadList(body, type);
        if (Format != OutputFormat.Name)
        {
            text(Out, list);
            return;
        }

        foreach (T item in list)
        {
            Out.WriteLine(Printable.Of(name(item)));
        }
    }

    public void PrintDocument(byte[] body)
    {
        using JsonDocument document = JsonText.Parse(body);
        if (Format == OutputFormat.Yaml)
        {
            Out.Write(YamlText.Of(document.RootElement));
        }
        else
        {
            Out.WriteLine(JsonText.Indented(document.RootElement));
        }
    }
}

/// <summary>The NAME argument. It is optional to the parser so that its absence is an error of ours, not a usage dump.</summary>
internal static class NameArgument
{
    public static Argument<string?> Create(string description) =>
        new("NAME") { Arity = ArgumentArity.ZeroOrOne, Description = description };

    public static string Required(this ParseResult parsed, Argument<string?> argument) =>
        parsed.GetValue(argument)?.Trim() is { Length: > 0 } name ? name : throw CommandFailure.Invalid("name is required");

    public static string Required(this ParseResult parsed, Option<string?> option) =>
        parsed.GetValue(option)?.Trim() is { Length: > 0 } value ? value : throw CommandFailure.Invalid($"{option.Name} is required");
}
