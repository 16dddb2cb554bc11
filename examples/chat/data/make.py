"""Makes train.tsv, validation.tsv and test.tsv: what people say at the desk of a library, what they want, and what the desk answers.

    python3 make.py

Each line below is a phrasing; words in braces, {a|b}, stand for one another, and <day> and <kind> are what an answer depends on. A sentence is a
phrasing, perhaps with some words of courtesy around it. Two phrasings of each intent, by chance, are only in validation.tsv and two others only in
test.tsv, so that these hold no sentence that the training has seen in other words of courtesy alone. All of it was made up for this example.
"""

import random
import re

DETAILS = {
    "day": {
        "weekday": ["on monday", "on tuesday", "on wednesday", "on thursday", "on friday", "on weekdays", "during the week"],
        "saturday": ["on saturday", "on saturdays", "this saturday"],
        "sunday": ["on sunday", "on sundays", "this sunday"],
    },
    "kind": {
        "novels": ["novels", "fiction", "crime novels", "love stories"],
        "children": ["children 's books", "picture books", "books for kids", "books for my daughter"],
        "maps": ["maps", "hiking maps", "atlases", "travel guides"],
        "papers": ["newspapers", "magazines", "today 's paper", "journals"],
    },
}

# Intent: the answers, by detail, and the phrasings.
INTENTS = {
    "greeting": ("Hello! What can I do for you?", """
        hello
        hi
        hello there
        hi there
        good morning
        good {evening|afternoon}
        hey
        hey there , good {morning|evening}
        hello and good {morning|afternoon}
        good day
        hi , good day to you
        morning , hello
        """),
    "goodbye": ("Goodbye, and come again!", """
        goodbye
        bye
        bye bye
        see you
        see you {later|soon|tomorrow}
        bye , see you
        goodbye , see you {soon|tomorrow}
        i have to {go|leave} now , bye
        i {must|have to} {go|leave} , goodbye
        that is all , goodbye
        that was all , bye
        have a nice {day|evening} , bye
        """),
    "thanks": ("You are welcome.", """
        thank you
        thanks
        thanks a lot
        thank you {so|very} much
        many thanks
        thanks , that helped {a lot|me}
        great , thank you
        {great|perfect} , thanks
        that is {great|perfect} , thank you
        thank you for your help
        thanks for {helping|the help}
        you helped me a lot , thanks
        """),
    "hours": ({"weekday": "We are open from 9 to 19 from Monday to Friday.", "saturday": "On Saturdays we are open from 10 to 16.", "sunday": "We are closed on Sundays."}, """
        when do you open <day>
        when do you close <day>
        when are you open <day>
        are you open <day>
        what are your {opening hours|hours} <day>
        what are the opening hours <day>
        how long are you open <day>
        is the library open <day>
        when does the library {open|close} <day>
        until when are you open <day>
        from what time are you open <day>
        can i come <day> , are you open
        <day> , when do you {open|close}
        do you close early <day>
        """),
    "renew": ("Your loans are renewed for four weeks.", """
        i want to renew my {book|books|loan}
        i would like to renew my {book|books|loan}
        can i renew my {book|books|loan}
        can you renew this {book|loan} for me
        please renew my {book|books|loan}
        how do i renew a {book|loan}
        i need my {book|books} for longer
        can i keep my {book|books} longer
        can i keep this book for another week
        i would like to keep the {book|books} for two more weeks
        i need to extend my loan
        can you extend my loan
        can i extend the loan of my books
        i want to keep my books longer , can you extend the loan
        """),
    "lost card": ("I have blocked your card. A new one costs 5 euros.", """
        i lost my card
        i have lost my library card
        my card is {lost|gone}
        my library card is {gone|missing}
        i can not find my card
        i can not find my library card anywhere
        my card was stolen
        somebody stole my library card
        someone has stolen my card
        please block my card , it is {lost|gone}
        i need to block my card , i lost it
        what do i do if i lost my card
        i think i lost my library card
        """),
    "join": ("A card is free: bring your passport and we make you one at once.", """
        i want to {join|become a member}
        i would like to {join|become a member}
        how do i {join|become a member}
        how can i join the library
        how can i become a member of the library
        can i {join|sign up}
        i want to sign up
        where do i sign up for a card
        how do i get a library card
        i would like to get a card
        can i get a library card here
        i do not have a card yet , can i get one
        i am new here and want to {join|sign up}
        i am new , how do i get a card
        """),
    "fine": ("A book that is late costs 20 cents a day.", """
        my book is {late|overdue} , what does it cost
        my books are {late|overdue}
        how much is the fine
        how much is the fine for a late book
        how much do i pay for a late book
        what does it cost if a book is late
        what is the fine for overdue books
        i brought my book back {late|too late}
        i am late with my {book|books} , how much do i pay
        do i have to pay a fine
        do i pay for an overdue book
        i have to pay a fine , how much is it
        what do overdue books cost
        """),
    "find": ({"novels": "Novels are on the first floor, by author.", "children": "Children's books are on the ground floor, next to the entrance.",
              "maps": "Maps are on the second floor, behind the stairs.", "papers": "Newspapers lie in the reading room."}, """
        where are the <kind>
        where do i find <kind>
        where can i find <kind>
        i am looking for <kind>
        do you have <kind>
        have you got <kind>
        i want to {read|borrow} <kind> , where are they
        can you show me the <kind>
        where do you keep the <kind>
        on which floor are the <kind>
        i can not find the <kind>
        <kind> , where are they
        is there a shelf with <kind>
        i would like to {read|borrow} <kind>
        """),
    "internet": ("The network is called Library; it needs no password.", """
        do you have wifi
        is there {wifi|internet} here
        what is the wifi password
        what is the password for the {wifi|internet}
        how do i get into the wifi
        how do i connect to the wifi
        how can i connect to the internet
        can i use the {wifi|internet} here
        my laptop can not connect to the wifi
        i can not connect to the internet
        i need the wifi password
        i need internet for my laptop
        does the wifi cost anything
        """),
    "print": ("The printer is beside the desk. A page costs 10 cents.", """
        can i print here
        where can i print {something|a document}
        where is the {printer|copier}
        do you have a {printer|copier}
        how much does it cost to print a page
        how much is a {copy|page}
        i need to print {something|a document}
        i want to print {a document|a page|a letter}
        i would like to {copy|print} a few pages
        can i copy a few pages here
        can i make {copies|a copy} here
        how does the printer work
        how do i print {from my phone|a document}
        """),
    "room": ("Rooms are booked for two hours; yours is room 3.", """
        can i book a room
        i want to book a {room|study room}
        i would like to book a {room|study room}
        how do i book a {room|study room}
        i need a {room|quiet room} for {our|my} group
        do you have a {quiet|free} room
        is there a quiet room to {work|study}
        is there a free room for a group
        can we have a room for {two|three} hours
        can i reserve a room
        i want to reserve a study room
        we need a room for our meeting
        where can {we|our group} study in a quiet room
        """),
    "person": ("One moment, I am calling a librarian.", """
        can i {talk|speak} to a librarian
        i want to {talk|speak} to a {person|human}
        i would like to speak to a {person|librarian}
        can i talk to a {real person|human}
        is there a person i can {talk|speak} to
        is there a librarian here
        please call a {librarian|human}
        can you call somebody who can help me
        can somebody help me
        can a {human|librarian} help me
        i need help from a {person|human|librarian}
        you do not understand me , i want a human
        are you a robot , i want a real person
        """),
}
BEFORE = ["", "", "", "hi ,", "hello ,", "excuse me ,", "sorry ,", "one question :"]
AFTER = ["", "", "", "please", ", please", ", thanks"]


def spoken(r, phrasing, answers):
    """A sentence of a phrasing, and the answer to it."""
    text = re.sub(r"\{([^}]*)\}", lambda m: r.choice(m[1].split("|")), phrasing)
    detail = re.search("<(.*?)>", text)
    if not detail:
        return text, answers
    answer = r.choice(sorted(answers))
    return text.replace(detail[0], r.choice(DETAILS[detail[1]][answer])), answers[answer]


def main():
    r = random.Random(1)
    splits = {"test": [], "validation": [], "train": []}
    for intent, (answers, phrasings) in INTENTS.items():
        lines = [line.strip() for line in phrasings.strip().splitlines()]
        r.shuffle(lines)
        splits["test"].append((intent, answers, lines[:2]))
        splits["validation"].append((intent, answers, lines[2:4]))
        splits["train"].append((intent, answers, lines[4:]))
    for name, count in [("test", 520), ("validation", 520), ("train", 5200)]:
        with open(f"{name}.tsv", "w", encoding="utf-8") as f:
            f.write("text\tintent\treply\n")
            for i in range(count):
                intent, answers, lines = splits[name][i % len(INTENTS)]
                text, answer = spoken(r, r.choice(lines), answers)
                if intent not in ("greeting", "goodbye", "thanks"):
                    text = " ".join(filter(None, [r.choice(BEFORE), text, r.choice(AFTER)]))
                f.write(f"{text}\t{intent}\t{answer}\n")


main()
