using System.Collections.Immutable;

namespace Kcore.MutationGate;

/// <summary>One textual change of a source file.</summary>
/// <param name="Find">Stands exactly once in the sources of the project.</param>
/// <param name="Replace">What takes its place; empty removes it.</param>
internal sealed record Edit(string Find, string Replace);

/// <summary>
/// A planted bug, read from a file:
/// <code>
/// stands-for: P3, I-8: an entry is acknowledged on arrival
/// project: Kcore.Raft
/// --- find
/// SendWhenDurable(reply)
/// --- replace
/// SendNow(reply)
/// </code>
/// Further pairs of find and replace may follow, applied one after the other. A line <c>suites:</c> with names of test
/// projects leaves out the folder's other suites, where they are known to look elsewhere. <c>by-default: no</c> keeps it
/// for runs with a filter: each run of the gate tries what stands for an invariant or a famous bug, and has minutes.
/// </summary>
/// <param name="Group">The folder it lies in, which names its suites.</param>
/// <param name="Name">The file's name.</param>
/// <param name="StandsFor">The famous bug or the invariant it breaks.</param>
/// <param name="Project">The project whose source is changed.</param>
/// <param name="Suites">Test projects to try; none means all of the folder.</param>
/// <param name="IsByDefault">Tried without being asked for.</param>
internal sealed record Mutation(
    string Group,
    string Name,
    string StandsFor,
    string Project,
    ImmutableArray<string> Suites,
    bool IsByDefault,
    ImmutableArray<Edit> Edits)
{
    public const string Extension = ".mutation";

    private const string FindMark = "--- find";
    private const string ReplaceMark = "--- replace";

    public string FullName => $"{Group}/{Name}";

    /// <exception cref="InvalidDataException">The file does not follow the format.</exception>
    public static Mutation Read(string path)
    {
        string[] lines = File.ReadAllLines(path);
        string? standsFor = null, project = null;
        ImmutableArray<string> suites = [];
        bool isByDefault = true;
        List<Edit> edits = [];
        int at = 0;
        for (; at < lines.Length && lines[at] != FindMark; at++)
        {
            (string key, string value) = lines[at].Split(':', 2) is [var k, var v] ? (k.Trim(), v.Trim()) : (lines[at].Trim(), "");
            switch (key)
            {
                case "stands-for":
                    standsFor = value;
                    break;
                case "project":
                    project = value;
                    break;
                case "suites":
                    suites = [.. value.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
                    break;
                case "by-default" when value == "no":
                    isByDefault = false;
                    break;
                case "":
                    break;
                default:
                    throw new InvalidDataException($"{path}: '{lines[at]}' is no line of the format.");
            }
        }

        while (at < lines.Length)
        {
            string find = Block(lines, ref at, FindMark);
            edits.Add(new Edit(find, Block(lines, ref at, ReplaceMark)));
            if (find.Length == 0)
            {
                throw new InvalidDataException($"{path}: nothing to find.");
            }
        }

        return string.IsNullOrEmpty(standsFor) || string.IsNullOrEmpty(project) || edits.Count == 0
            ? throw new InvalidDataException($"{path}: stands-for, project and one pair of find and replace are needed.")
            : new Mutation(
                Path.GetFileName(Path.GetDirectoryName(path)!),
                Path.GetFileNameWithoutExtension(path),
                standsFor,
                project,
                suites,
                isByDefault,
                [.. edits]);
    }

    private static string Block(string[] lines, ref int at, string mark)
    {
        if (at >= lines.Length || lines[at] != mark)
        {
            throw new InvalidDataException($"line {at + 1}: '{mark}' expected.");
        }

        int start = ++at;
        while (at < lines.Length && lines[at] is not (FindMark or ReplaceMark))
        {
            at++;
        }

        return string.Join('\n', lines[start..at]);
    }
}
